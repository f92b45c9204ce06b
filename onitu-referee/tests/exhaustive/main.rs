//! The decision, exhaustively: every interleaving of a few changes, crashes and deliveries.
//!
//! A model of Onitu that is small enough to be gone through as a whole. The decision in it is the
//! real one: [`onitu_referee::round::play`] makes the records, [`onitu_referee::World`] says who
//! needs what, [`onitu_referee::order::plan`] makes the orders. What drivers do with them (look,
//! tell, check what an order expects, place, set aside) is modelled as `onitu-plug` does it.
//!
//! [`state`] is the world, [`machine`] what happens by itself, [`user`] what users and faults do,
//! [`canon`] finds states that are the same but for names, [`forget`] those that differ only in what
//! can't matter any more, [`layers`] goes through all of them and checks each, [`search`] does so too
//! and can tell the way to what is wrong, and [`scopes`] says how far.

mod canon;
mod decisions;
mod forget;
mod layers;
mod machine;
mod scopes;
mod search;
mod state;
mod user;

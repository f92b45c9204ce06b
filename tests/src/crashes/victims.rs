//! Who is killed, and how it is brought about at once, without asking anybody.

use fastrand::Rng;

use crate::process::children_of;
use crate::{House, Signal, signal_to};

/// Processes to be killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Victim {
    /// This one of the supervisor's.
    One(String),
    /// Everything the supervisor started; it stays.
    Children,
    /// The supervisor alone: the kernel ends the others.
    Supervisor,
    /// Everything, one after the other.
    All,
}

impl Victim {
    /// The driver of one of these services, the first of them most often.
    pub(super) fn driver_of(services: &[String], rng: &mut Rng) -> Victim {
        let at = if rng.bool() { 0 } else { rng.usize(0..services.len()) };
        Victim::One(format!("driver-{}", services[at]))
    }

    /// A random one.
    pub(super) fn any(services: &[String], rng: &mut Rng) -> Victim {
        match rng.u32(0..20) {
            0..2 => Victim::Children,
            2..4 => Victim::Supervisor,
            4..6 => Victim::All,
            6..9 => Victim::One("redis".to_owned()),
            9..12 => Victim::One("referee".to_owned()),
            12..14 => Victim::One("core".to_owned()),
            _ => Victim::One(format!("driver-{}", services[rng.usize(0..services.len())])),
        }
    }

    /// Whether `onitu up` has to be started again.
    pub(super) fn takes_the_supervisor(&self) -> bool {
        matches!(self, Victim::Supervisor | Victim::All)
    }

    /// Kills; tells who it was. One that doesn't run in this moment is left alone.
    pub(super) fn kill(&self, house: &mut House) -> String {
        let children = children_of(house.supervisor());
        let chosen = children.iter().filter(|(_, name)| match self {
            Victim::One(wanted) => name.as_ref() == Some(wanted),
            Victim::Children | Victim::All => true,
            Victim::Supervisor => false,
        });
        let mut told = Vec::new();
        for (pid, name) in chosen {
            signal_to(*pid, Signal::KILL);
            told.push(name.clone().unwrap_or_else(|| "one that was being started".to_owned()));
        }
        if self.takes_the_supervisor() {
            house.kill9("supervisor");
            told.push("supervisor".to_owned());
        }
        if told.is_empty() {
            return format!("{self:?} didn't run");
        }
        told.join(", ")
    }
}

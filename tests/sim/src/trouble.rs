//! What goes wrong: crashes, a store that forgets, a bad bus, storages that fail, clocks that jump,
//! and the admin who changes the configuration meanwhile.

use std::time::Duration;

use fastrand::Rng;
use onitu_core::Mode;
use onitu_core::bus::Weather;
use onitu_core::clock;
use onitu_core::store::Checkpoint;
use onitu_driver_memory::Faults;
use onitu_plug::FaultKind;

use crate::house::{House, Process};
use crate::permit::{Permits, any_rules};

const HOUR_NS: i64 = 3_600_000_000_000;

/// A process ends wherever it is; now and then all of them do.
pub(crate) async fn kill(house: &mut House, rng: &mut Rng) -> String {
    if rng.u32(0..8) == 0 {
        house.kill_all().await;
        return "everything is killed".to_owned();
    }
    let present: Vec<usize> = house.present().collect();
    let process = match rng.usize(0..=present.len()) {
        0 => Process::Referee,
        number => Process::Driver(present[number - 1]),
    };
    house.kill(process).await;
    format!("{process:?} is killed")
}

/// The store restarts, loses its last second, is wiped or restored as it was long ago.
pub(crate) async fn store(house: &House, old: &mut Option<Checkpoint>, rng: &mut Rng) -> String {
    let pause = |rng: &mut Rng, most_ms| Duration::from_millis(rng.u64(0..most_ms));
    match rng.u32(0..5) {
        0 => {
            house.store.set_available(false);
            tokio::time::sleep(pause(rng, 3_000)).await;
            house.store.set_available(true);
            house.store.restart();
            "the store restarted".to_owned()
        }
        1 => {
            let checkpoint = house.store.checkpoint();
            tokio::time::sleep(pause(rng, 1_000)).await;
            loses(house);
            house.store.restart_at(checkpoint);
            "the store lost its last second".to_owned()
        }
        2 => {
            house.wiped.set(true);
            loses(house);
            house.store.flush_all();
            tokio::time::sleep(pause(rng, 2_000)).await;
            house.register().await;
            "the store was wiped".to_owned()
        }
        3 if old.is_some() => {
            let checkpoint = old.take().unwrap_or_else(|| house.store.checkpoint());
            loses(house);
            house.store.restart_at(checkpoint);
            // The configuration is the Core's, and newer.
            house.register().await;
            "the store was restored from a backup".to_owned()
        }
        _ => {
            *old = Some(house.store.checkpoint());
            "the store was backed up".to_owned()
        }
    }
}

fn loses(house: &House) {
    house.losses.set(house.losses.get() + 1);
}

pub(crate) fn weather(rng: &mut Rng) -> Weather {
    let mut some = |most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
    Weather {
        lose_news: some(0.4),
        double_news: some(0.3),
        reorder_news: some(1.0) > 0.5,
        lose_request: some(0.2),
        lose_answer: some(0.2),
        reset_dealer: some(0.1),
        delay: some(0.5),
        delay_by: Duration::ZERO..=Duration::from_millis(200),
    }
}

/// One service fails, is slow, away or full, or is well again; or its clock is wrong.
pub(crate) fn service(house: &House, rng: &mut Rng) -> String {
    let member = &house.members[rng.usize(0..house.members.len())];
    let (name, storage) = (&member.service.name, &member.storage);
    match rng.u32(0..8) {
        0 => {
            storage.set_online(false);
            format!("{name} is away")
        }
        1 => {
            storage.set_online(true);
            storage.set_capacity(None);
            format!("{name} is back and has room")
        }
        2 => {
            let held: usize = storage.tree().len();
            storage.set_capacity(Some(rng.u64(0..20_000)));
            format!("{name} is nearly full with {held} entries")
        }
        3 => {
            let hours = rng.i64(-72..72);
            storage.jump_clock(hours * HOUR_NS + rng.i64(0..HOUR_NS));
            format!("the clock of {name} jumps by {hours} h")
        }
        _ => {
            let faults = faults(rng);
            storage.misbehave(faults.clone());
            format!("{name} {faults:?}")
        }
    }
}

fn faults(rng: &mut Rng) -> Faults {
    let seed = rng.u64(..);
    let mut some = |most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
    Faults {
        seed,
        fail: some(0.05),
        lose_answer: some(0.05),
        kinds: vec![FaultKind::Unavailable, FaultKind::Denied, FaultKind::Full],
        delay_ms_max: match some(1.0) {
            slow if slow > 0.9 => 2_000,
            slow if slow > 0.5 => 50,
            _ => 2,
        },
        lose_hint: some(0.2),
        hint_delay_ms_max: if some(1.0) > 0.5 { 500 } else { 0 },
        rescan_delay_ms_max: 2_000,
        break_watch: some(0.02),
        half_listing: some(0.1),
        // A bit that flips while a storage is read for the first time is what it holds, as far as
        // anyone can know; bits that flip on the way are the transfer's own tests.
        corrupt_read: 0.0,
        tear_part: some(0.5),
        same_tick: 0.0,
    }
}

/// The clock of the machine jumps by hours, forward or back.
pub(crate) fn clock(rng: &mut Rng) -> String {
    let minutes = rng.i64(-3_000..3_000);
    clock::simulate(clock::now_ms().saturating_add_signed(minutes * 60_000));
    format!("the clock jumps by {minutes} min")
}

/// The admin changes rules, modes or services.
pub(crate) async fn configuration(
    house: &mut House,
    permits: &mut Permits,
    old: &mut Option<Checkpoint>,
    rng: &mut Rng,
) -> String {
    let at = rng.usize(0..house.members.len());
    let name = house.members[at].service.name.clone();
    let mut rules = house.registry.rules.clone();
    let mut leaves = false;
    let what = match rng.u32(0..10) {
        0..4 => {
            let names: Vec<String> = house.members.iter().map(|m| m.service.name.clone()).collect();
            rules = any_rules(&names, rng);
            format!("the rules are {rules:?}")
        }
        4..6 if !house.modes_are_fixed => {
            let mut mode = rng.choice([Mode::Sync, Mode::Source, Mode::Backup]).unwrap_or_default();
            if mode == Mode::Backup && !house.members[at].storage.abilities().rename {
                mode = Mode::Sync;
            }
            house.members[at].service.mode = mode;
            house.members[at].was_written_to |= mode != Mode::Source;
            house.members[at].mode_changed = true;
            format!("{name} is a {mode:?}")
        }
        _ if !house.members[at].is_present => {
            house.members[at].is_present = true;
            format!("{name} is configured again")
        }
        _ if house.present().count() > 2 => {
            house.members[at].is_present = false;
            leaves = true;
            format!("{name} is configured no more")
        }
        _ => return "the configuration stays".to_owned(),
    };
    if house.registry.rules != rules {
        // What is removed by the old rules may be known to nobody yet in a store of before.
        *old = None;
        if !house.registry.approved.is_empty() {
            let before = house.registry.rules.clone().unwrap_or_default();
            house.registry.approved.push(before);
        }
    }
    house.configure(rules);
    if rng.bool() {
        house.approve();
    }
    permits.add(&house.registry);
    let driver_first = rng.bool();
    if leaves && driver_first {
        house.kill(Process::Driver(at)).await;
    }
    house.register().await;
    if leaves && !driver_first {
        house.kill(Process::Driver(at)).await;
    }
    if house.members[at].is_present && !house.is_running(at) {
        house.start(Process::Driver(at));
    }
    what
}

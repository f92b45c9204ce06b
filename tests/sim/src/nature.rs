//! What kind of storage a fake service is, chosen by the seed.

use std::time::Duration;

use fastrand::Rng;
use onitu_core::Mode;
use onitu_driver_memory::MemoryService;
use onitu_plug::Abilities;

/// An ability that a service may lack: its name and how it is taken away. Whoever teaches the
/// engine to live without another one adds it here.
type Lack = (&'static str, fn(&mut Abilities));

const LACKS: [Lack; 5] = [
    ("rename", |abilities| abilities.rename = false),
    ("mtime", |abilities| abilities.mtime = false),
    ("executable", |abilities| abilities.executable = false),
    ("tag_survives_rename", |abilities| abilities.tag_survives_rename = false),
    ("trash", |abilities| abilities.trash = false),
];

const ALL: Abilities = Abilities {
    rename: true,
    mtime: true,
    executable: true,
    directories: true,
    symlinks: true,
    tag_survives_rename: true,
    exact_names: true,
    trash: true,
};

/// The nature of one fake service.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    abilities: Abilities,
    lacking: Vec<&'static str>,
    /// For how long its listings may lag behind.
    lag: Duration,
    pub(crate) mode: Mode,
    /// Whether the configuration says that it keeps no links, if it doesn't: else it just refuses them.
    pub(crate) is_told: bool,
}

impl Nature {
    /// Can do everything, at once, and is two-way.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            abilities: ALL,
            lacking: Vec::new(),
            lag: Duration::ZERO,
            mode: Mode::Sync,
            is_told: true,
        }
    }

    /// Half of the services can do everything; four in five are two-way.
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let (mut abilities, mut lacking) = (ALL, Vec::new());
        if rng.bool() {
            for (name, take_away) in LACKS {
                if rng.u32(0..5) < 2 {
                    take_away(&mut abilities);
                    lacking.push(name);
                }
            }
        }
        let lag_ms = if rng.u32(0..4) == 0 { rng.u64(1..1_500) } else { 0 };
        let mode = match rng.u32(0..10) {
            0 => Mode::Source,
            1 => Mode::Backup,
            _ => Mode::Sync,
        };
        if mode == Mode::Backup && !abilities.rename {
            // A directory that stands in a file's way there can't be set aside.
            abilities.rename = true;
            lacking.retain(|lack| *lack != "rename");
        }
        let is_told = without_links(rng, &mut abilities, &mut lacking);
        Self { abilities, lacking, lag: Duration::from_millis(lag_ms), mode, is_told }
    }

    /// Whether it keeps no links, and the configuration says so.
    pub(crate) fn is_told_without_links(&self) -> bool {
        self.is_told && !self.abilities.symlinks
    }

    /// An empty storage of this nature.
    pub(crate) fn storage(&self) -> MemoryService {
        let storage = MemoryService::able(self.abilities);
        storage.set_list_lag(self.lag);
        storage
    }
}

/// Takes links from one service in eight, and answers whether that is to be known beforehand. By
/// dice of its own: seeds that once found something go on to mean what they meant.
fn without_links(rng: &Rng, abilities: &mut Abilities, lacking: &mut Vec<&'static str>) -> bool {
    let mut dice = Rng::with_seed(rng.get_seed() ^ 0x006c_696e_6b73);
    if dice.u32(0..8) == 0 {
        abilities.symlinks = false;
        lacking.push("symlinks");
    }
    dice.bool()
}

impl std::fmt::Display for Nature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.mode)?;
        if !self.lacking.is_empty() {
            write!(f, " without {}", self.lacking.join(", "))?;
        }
        if !self.lag.is_zero() {
            write!(f, ", lists {} ms late", self.lag.as_millis())?;
        }
        Ok(())
    }
}

//! Paths that stand for all that a glob matches: whether one pattern covers another, or meets it.
//!
//! A wildcard becomes letters that nobody writes, of several lengths. A glob that matches all these
//! paths does so through wildcards of its own, and so matches whatever the first glob does. Where a
//! glob has too many forms to try, nothing is claimed.

use globset::{Candidate, Glob, GlobSet, GlobSetBuilder};

use super::super::condition;
use super::super::statement::Statement;

/// Forms of one glob that are tried.
const SAMPLES_MAX: usize = 256;
/// The first letter that nobody writes (Unicode's private use area).
const FRESH: u32 = 0xE000;

/// What a statement's pattern matches.
pub struct Reach {
    /// [`None`]: everything.
    globs: Option<GlobSet>,
    /// The same globs one by one.
    each: Vec<Glob>,
    /// Of these, the ones that a person wrote.
    written: Vec<Glob>,
    /// Paths that stand for all that it matches; [`None`] if they are too many.
    samples: Option<Vec<String>>,
}

impl Reach {
    /// Of a statement.
    pub fn of(statement: &Statement) -> Self {
        let each = statement.compared();
        let globs = statement.globs.is_some().then(|| set(&each));
        let first = statement.globs.iter().flatten().filter_map(|glob| glob.globs.first());
        let written = first.cloned().collect();
        let samples = match globs {
            None => samples("**"),
            Some(_) => all_samples(&each),
        };
        Self { globs, each, written, samples }
    }

    /// Of globs alone.
    pub fn of_globs(globs: &[Glob]) -> Self {
        let (each, written) = (globs.to_vec(), globs.to_vec());
        Self { globs: Some(set(globs)), each, written, samples: all_samples(globs) }
    }

    /// What it matches; [`None`] stands for everything.
    pub fn globs(&self) -> Option<&[Glob]> {
        self.globs.as_ref().map(|_| &self.each[..])
    }

    /// Whether it matches this path.
    fn matches(&self, path: &str) -> bool {
        self.globs.as_ref().is_none_or(|globs| globs.is_match_candidate(&Candidate::new(path)))
    }

    /// Whether it surely matches all that these globs match; [`None`] stands for everything.
    pub fn covers(&self, globs: Option<&[Glob]>) -> bool {
        let is_all = |glob: &Glob| self.matches_all_of(glob.glob());
        match globs {
            None => self.matches_all_of("**"),
            Some(globs) => globs.iter().all(is_all),
        }
    }

    fn matches_all_of(&self, glob: &str) -> bool {
        let samples = samples(glob);
        samples.is_some_and(|all| !all.is_empty() && all.iter().all(|path| self.matches(path)))
    }

    /// Whether it surely matches all that `other` matches.
    pub fn covers_all_of(&self, other: &Self) -> bool {
        let matches_all = |samples: &Vec<String>| samples.iter().all(|path| self.matches(path));
        other.samples.as_ref().is_some_and(matches_all)
    }

    /// A path that both match, the plainest of those that were tried.
    pub fn meets(&self, other: &Self) -> Option<String> {
        let globs = |reach: &Self| -> Vec<String> {
            let each = reach.written.iter().map(|glob| glob.glob().to_owned()).collect();
            if reach.globs.is_some() { each } else { vec!["**".to_owned()] }
        };
        let (mine, theirs) = (globs(self), globs(other));
        let mut found: Vec<String> =
            mine.iter().chain(&theirs).filter_map(|glob| samples(glob)).flatten().collect();
        for (mine, theirs) in mine.iter().flat_map(|a| theirs.iter().map(move |b| (a, b))) {
            found.extend(joined(mine, theirs));
            found.extend(joined(theirs, mine));
        }
        let readable = found.iter().map(|path| readable(path));
        let both = readable.filter(|path| self.matches(path) && other.matches(path));
        both.min_by_key(|path| (path.contains("/."), path.chars().count(), path.clone()))
    }

    /// The extensions of all that it matches, an empty one for none; [`None`] unless there are only certain ones.
    pub fn extensions(&self) -> Option<Vec<String>> {
        self.globs.as_ref()?;
        let mut found = Vec::new();
        for glob in &self.each {
            for path in samples(glob.glob())? {
                let name = path.rsplit('/').next().unwrap_or_default();
                let extension = condition::extension(name);
                if extension.unwrap_or(name).chars().any(is_fresh) {
                    return None;
                }
                let extension = extension.unwrap_or_default().to_lowercase();
                found.push(extension);
            }
        }
        Some(found)
    }
}

fn all_samples(globs: &[Glob]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for glob in globs {
        let mut more = samples(glob.glob()).filter(|samples| !samples.is_empty())?;
        found.append(&mut more);
    }
    Some(found)
}

fn set(globs: &[Glob]) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(glob.clone());
    }
    // They were compiled together before, with more of them.
    builder.build().unwrap_or_else(|_| GlobSet::empty())
}

/// What `DIRECTORY/**` and `**/NAME` both match.
fn joined(directory: &str, name: &str) -> Vec<String> {
    let (Some(above), Some(below)) = (directory.strip_suffix("**"), name.strip_prefix("**/"))
    else {
        return Vec::new();
    };
    samples(&format!("{above}{below}")).unwrap_or_default()
}

fn is_fresh(letter: char) -> bool {
    (FRESH..FRESH + 0x1000).contains(&u32::from(letter))
}

/// The same with letters that a person may write.
fn readable(path: &str) -> String {
    let plain = |letter: char| {
        let at = u32::from(letter).wrapping_sub(FRESH);
        if is_fresh(letter) { char::from(b'a' + ((at + 22) % 26) as u8) } else { letter }
    };
    path.chars().map(plain).collect()
}

/// Paths that stand for all that `glob` matches; [`None`] if they are too many.
pub fn samples(glob: &str) -> Option<Vec<String>> {
    let mut sampler = Sampler { rest: glob, fresh: FRESH };
    let mut found = sampler.sequence(true)?;
    found.retain(|path| path.split('/').all(|part| !part.is_empty()));
    Some(found)
}

struct Sampler<'a> {
    rest: &'a str,
    fresh: u32,
}

impl Sampler<'_> {
    /// Up to the end, or to what ends an alternative.
    fn sequence(&mut self, at_start: bool) -> Option<Vec<String>> {
        let mut found = vec![String::new()];
        let mut begins = at_start;
        while let Some(letter) = self.rest.chars().next() {
            if matches!(letter, ',' | '}') && !at_start {
                break;
            }
            let forms = self.element(letter, begins)?;
            begins = letter == '/';
            if found.len() * forms.len() > SAMPLES_MAX {
                return None;
            }
            found =
                found.iter().flat_map(|a| forms.iter().map(move |b| format!("{a}{b}"))).collect();
        }
        Some(found)
    }

    /// The forms of the next element, which begins a component or not.
    fn element(&mut self, letter: char, begins: bool) -> Option<Vec<String>> {
        if begins && self.rest.starts_with("**/") {
            self.rest = &self.rest[3..];
            let one = self.letter();
            return Some(vec![String::new(), format!("{one}/"), format!("{one}/{one}/")]);
        }
        if begins && self.rest == "**" {
            self.rest = "";
            let one = self.letter();
            return Some(vec![one.clone(), format!("{one}/{one}")]);
        }
        self.rest = &self.rest[letter.len_utf8()..];
        match letter {
            '*' => {
                let one = self.letter();
                Some(vec![String::new(), one.clone(), one.repeat(5)])
            }
            '?' => Some(vec![self.letter()]),
            '[' => Some(self.class()),
            '{' => self.alternatives(),
            '\\' => {
                let escaped = self.rest.chars().next()?;
                self.rest = &self.rest[escaped.len_utf8()..];
                Some(vec![escaped.to_string()])
            }
            plain => Some(vec![plain.to_string()]),
        }
    }

    fn letter(&mut self) -> String {
        self.fresh += 1;
        char::from_u32(self.fresh).unwrap_or('x').to_string()
    }

    /// First and last letter of every range; for `[!…]` a letter that nobody writes.
    fn class(&mut self) -> Vec<String> {
        let negated = self.rest.starts_with(['!', '^']);
        let body = &self.rest[usize::from(negated)..];
        // A `]` that comes first is a letter of the class.
        let end = body.char_indices().skip(1).find(|(_, it)| *it == ']').map(|(at, _)| at);
        let (class, rest) = body.split_at(end.unwrap_or(body.len()));
        let letters = class.chars().filter(|it| *it != '-' || class.len() == 1);
        let found = letters.map(String::from).collect();
        self.rest = rest.strip_prefix(']').unwrap_or(rest);
        if negated { vec![self.letter()] } else { found }
    }

    fn alternatives(&mut self) -> Option<Vec<String>> {
        let mut found = Vec::new();
        loop {
            found.append(&mut self.sequence(false)?);
            let ended = !self.rest.starts_with(',');
            self.rest = self.rest.get(1..).unwrap_or_default();
            if ended || found.len() > SAMPLES_MAX {
                return (found.len() <= SAMPLES_MAX).then_some(found);
            }
        }
    }
}

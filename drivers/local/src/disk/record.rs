//! The order in which a test's calls changed the disk, and ways to meddle with one of them.

use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::Errno;
use rustix::path::Arg;

use super::Id;

/// One thing that was done to the disk, or one remark of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Create { dir: Id, name: Vec<u8>, file: Id, emptied: bool },
    MakeDirectory { dir: Id, name: Vec<u8>, made: Id },
    Link { dir: Id, name: Vec<u8>, link: Id, target: Vec<u8> },
    Rename { from: Id, old: Vec<u8>, to: Id, new: Vec<u8>, exchanged: bool },
    Unlink { dir: Id, name: Vec<u8> },
    Write { file: Id, offset: Option<u64>, bytes: Vec<u8> },
    Truncate { file: Id, length: u64 },
    Times { file: Id, modified: (i64, i64) },
    Sync { what: Id, with_times: bool },
    SyncAll { device: (u32, u32) },
    Remark(usize),
}

#[derive(Default)]
struct Book {
    readers: usize,
    ops: Vec<Op>,
}

type Meddling = Box<dyn FnOnce() -> Result<(), Errno> + Send>;

static BOOK: Mutex<Book> = Mutex::new(Book { readers: 0, ops: Vec::new() });
static HOOKS: Mutex<Vec<(&'static str, Id, Meddling)>> = Mutex::new(Vec::new());

/// What is done from [`Record::begin`] to [`Record::end`], in the whole process.
pub(crate) struct Record {
    from: usize,
}

impl Record {
    pub(crate) fn begin() -> Self {
        let mut book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
        book.readers += 1;
        Self { from: book.ops.len() }
    }

    pub(crate) fn end(self) -> Vec<Op> {
        BOOK.lock().unwrap_or_else(PoisonError::into_inner).ops[self.from..].to_vec()
    }
}

/// Notes that the test has come so far.
pub(crate) fn remark(number: usize) {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner).ops.push(Op::Remark(number));
}

/// Before the next call of this label at `at` (the directory or file it changes) `act` is done; if
/// that fails, the call fails with its error instead of being made.
pub(crate) fn before(
    label: &'static str,
    at: impl AsFd,
    act: impl FnOnce() -> Result<(), Errno> + Send + 'static,
) {
    let at = id(at).expect("it is open");
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).push((label, at, Box::new(act)));
}

pub(super) fn note<T>(
    label: &str,
    at: &impl AsFd,
    call: impl FnOnce() -> Result<T, Errno>,
    told: impl FnOnce(&T) -> Result<Op, Errno>,
) -> Result<T, Errno> {
    meddle(label, at)?;
    let mut book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    if book.readers == 0 {
        drop(book);
        return call();
    }
    // Under the lock, so that the record has the order in which the disk saw it.
    let done = call()?;
    // What was there only for this call is gone already, by another's hand: nothing to tell.
    book.ops.extend(told(&done));
    Ok(done)
}

fn meddle(label: &str, at: &impl AsFd) -> Result<(), Errno> {
    let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    if hooks.is_empty() {
        return Ok(());
    }
    let at = id(at)?;
    let Some(found) = hooks.iter().position(|hook| hook.0 == label && hook.1 == at) else {
        return Ok(());
    };
    let (_, _, act) = hooks.remove(found);
    drop(hooks);
    act()
}

pub(crate) fn id(of: impl AsFd) -> Result<Id, Errno> {
    let stat = statx(of, c"", AtFlags::EMPTY_PATH, StatxFlags::INO)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}

pub(super) fn child(dir: impl AsFd, path: impl Arg) -> Result<Id, Errno> {
    let stat = statx(dir, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}

pub(super) fn name(path: impl Arg) -> Result<Vec<u8>, Errno> {
    Ok(path.into_c_str()?.into_owned().into_bytes())
}

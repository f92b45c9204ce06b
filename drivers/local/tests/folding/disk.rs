//! A file system in memory that folds case and normalization and keeps the spelling of each name
//! as it was made, as ext4, F2FS and vfat do where they fold. It does what the driver needs and a
//! bit more.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use icu_normalizer::ComposingNormalizerBorrowed;

/// Nothing is remembered by the kernel: each name is asked for again.
const TTL: Duration = Duration::ZERO;

/// The disk.
#[derive(Default)]
pub struct Disk(Mutex<Nodes>);

/// Everything on it. Nothing is ever freed: a test is short, and files stay open.
struct Nodes {
    all: BTreeMap<u64, Node>,
}

struct Node {
    kind: FileType,
    perm: u16,
    owner: (u32, u32),
    mtime: SystemTime,
    ctime: SystemTime,
    /// A file's bytes, a link's target.
    bytes: Vec<u8>,
    /// By folded name: the name as it was made, and the node.
    children: BTreeMap<OsString, (OsString, u64)>,
    links: u32,
}

impl Default for Nodes {
    fn default() -> Self {
        let root = Node::new(FileType::Directory, 0o755, (0, 0));
        Self { all: BTreeMap::from([(INodeNo::ROOT.0, root)]) }
    }
}

impl Node {
    fn new(kind: FileType, perm: u16, owner: (u32, u32)) -> Self {
        let (bytes, children, made) = (Vec::new(), BTreeMap::new(), now());
        Self { kind, perm, owner, mtime: made, ctime: made, bytes, children, links: 1 }
    }
}

/// What names that are the same here have in common.
fn fold(name: &OsStr) -> OsString {
    let Some(text) = name.to_str() else { return name.to_owned() };
    let normal = ComposingNormalizerBorrowed::new_nfc();
    normal.normalize(&text.to_lowercase()).into_owned().into()
}

impl Nodes {
    fn attributes(&self, number: u64) -> Result<FileAttr, Errno> {
        let node = self.all.get(&number).ok_or(Errno::ENOENT)?;
        let size = node.bytes.len() as u64;
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: node.mtime,
            mtime: node.mtime,
            ctime: node.ctime,
            crtime: node.ctime,
            kind: node.kind,
            perm: node.perm,
            nlink: node.links,
            uid: node.owner.0,
            gid: node.owner.1,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn child(&self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        let children = &self.all.get(&parent).ok_or(Errno::ENOENT)?.children;
        children.get(&fold(name)).map(|(_, number)| *number).ok_or(Errno::ENOENT)
    }

    fn node(&mut self, number: u64) -> Result<&mut Node, Errno> {
        self.all.get_mut(&number).ok_or(Errno::ENOENT)
    }

    fn add(&mut self, parent: u64, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        if self.child(parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let number = self.all.last_key_value().map_or(0, |(last, _)| *last) + 1;
        self.all.insert(number, node);
        self.put(parent, name, number)?;
        self.attributes(number)
    }

    /// Puts a node under a name; what was there keeps the spelling and loses the place.
    fn put(&mut self, parent: u64, name: &OsStr, number: u64) -> Result<(), Errno> {
        let directory = self.node(parent)?;
        let held = directory.children.entry(fold(name)).or_insert_with(|| (name.to_owned(), 0));
        let old = std::mem::replace(&mut held.1, number);
        directory.mtime = now();
        if let Some(old) = self.all.get_mut(&old) {
            old.links = 0;
        }
        Ok(())
    }

    fn take(&mut self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        let directory = self.node(parent)?;
        directory.mtime = now();
        directory.children.remove(&fold(name)).map(|(_, number)| number).ok_or(Errno::ENOENT)
    }

    fn remove(&mut self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        let number = self.child(parent, name)?;
        if !self.node(number)?.children.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.take(parent, name)?;
        self.node(number)?.links = 0;
        Ok(())
    }

    fn rename(
        &mut self,
        (from, old): (u64, &OsStr),
        (to, new): (u64, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let number = self.child(from, old)?;
        let there = self.child(to, new).ok();
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            let there = there.ok_or(Errno::ENOENT)?;
            self.node(from)?.children.entry(fold(old)).and_modify(|held| held.1 = there);
            self.node(to)?.children.entry(fold(new)).and_modify(|held| held.1 = number);
            return Ok(());
        }
        if there.is_some() && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        if let Some(there) = there
            && !self.node(there)?.children.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.take(from, old)?;
        self.put(to, new, number)
    }
}

impl Disk {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.0.lock().expect("no disk panics")
    }
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
        Err(errno) => reply.error(errno),
    }
}

fn empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

#[expect(clippy::disallowed_methods, reason = "a disk has a clock of its own")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn time(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => now(),
    }
}

fn perm(mode: u32, umask: u32) -> u16 {
    u16::try_from(mode & !umask & 0o7777).expect("twelve bits")
}

fn owner(request: &Request) -> (u32, u32) {
    (request.uid(), request.gid())
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let nodes = self.nodes();
        entry(reply, nodes.child(parent.0, name).and_then(|number| nodes.attributes(number)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.nodes().attributes(ino.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut nodes = self.nodes();
        if let Ok(node) = nodes.node(ino.0) {
            node.perm = mode.map_or(node.perm, |mode| perm(mode, 0));
            node.owner = (uid.unwrap_or(node.owner.0), gid.unwrap_or(node.owner.1));
            node.ctime = now();
            if let Some(size) = size {
                node.bytes.resize(usize::try_from(size).expect("small"), 0);
                node.mtime = node.ctime;
            }
            node.mtime = mtime.map_or(node.mtime, time);
        }
        match nodes.attributes(ino.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.nodes().node(ino.0) {
            Ok(node) => reply.data(&node.bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let kind = match mode & 0o170_000 {
            0o010_000 => FileType::NamedPipe,
            0o140_000 => FileType::Socket,
            _ => FileType::RegularFile,
        };
        let node = Node::new(kind, perm(mode, umask), owner(request));
        entry(reply, self.nodes().add(parent.0, name, node));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let node = Node::new(FileType::Directory, perm(mode, umask), owner(request));
        entry(reply, self.nodes().add(parent.0, name, node));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.nodes().remove(parent.0, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.nodes().remove(parent.0, name));
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let mut node = Node::new(FileType::Symlink, 0o777, owner(request));
        node.bytes = target.as_os_str().as_encoded_bytes().to_vec();
        entry(reply, self.nodes().add(parent.0, name, node));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.nodes().rename((parent.0, name), (to.0, new), flags));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let node = Node::new(FileType::RegularFile, perm(mode, umask), owner(request));
        match self.nodes().add(parent.0, name, node) {
            Ok(attributes) => {
                let (handle, flags) = (FileHandle(0), FopenFlags::empty());
                reply.created(&TTL, &attributes, Generation(0), handle, flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.nodes().node(ino.0) {
            Ok(node) => {
                let from = usize::try_from(offset).expect("small").min(node.bytes.len());
                let to = (from + size as usize).min(node.bytes.len());
                reply.data(&node.bytes[from..to]);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.nodes().node(ino.0) {
            Ok(node) => {
                let from = usize::try_from(offset).expect("small");
                let length = node.bytes.len().max(from + data.len());
                node.bytes.resize(length, 0);
                node.bytes[from..from + data.len()].copy_from_slice(data);
                node.mtime = now();
                reply.written(u32::try_from(data.len()).expect("small"));
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let nodes = self.nodes();
        let Some(directory) = nodes.all.get(&ino.0) else { return reply.error(Errno::ENOENT) };
        // By node: where a listing goes on doesn't move when a name comes or goes.
        let mut entries: Vec<_> = directory.children.values().collect();
        entries.sort_by_key(|(_, number)| *number);
        for (name, number) in entries.into_iter().filter(|(_, number)| *number > offset) {
            let kind = nodes.all.get(number).map_or(FileType::RegularFile, |node| node.kind);
            if reply.add(INodeNo(*number), *number, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}

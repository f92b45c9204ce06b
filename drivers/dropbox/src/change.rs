//! Changing what stands at a path, other than by writing: directories, removals, renames, times.
//!
//! Dropbox deletes a file only if it has the revision that was named, but a folder with all that
//! it holds. So a folder is first moved aside, where nobody adds to it, and deleted only if it is
//! empty there; what came into it in the last instant is put back.

use std::sync::Arc;

use onitu_plug::{
    Checksum, Content, Fault, FaultKind, Hasher, Path, Sink, Source, State, Tag, Why,
};
use serde_json::{Value, json};

use crate::fault::{Refusal, changed, taken};
use crate::folder::{Folder, There, not_a_directory};
use crate::name;
use crate::read::{self, DropboxSource};
use crate::resume::Memory;
use crate::state::{self, Thing};
use crate::trash::Line;
use crate::write::DropboxSink;

/// Where folders stand that are being removed, among Onitu's own.
const ASIDE: &str = "/removed";
/// Bytes read at once when a file is written anew.
const CHUNK_BYTES: u32 = 1024 * 1024;

/// Deletes a file in the state it was seen in; it may be gone already.
async fn delete_file(
    folder: &Folder,
    path: &Path,
    thing: &Thing,
    why: Option<Why>,
) -> Result<(), Fault> {
    match folder.committer.delete(&folder.at(path), &thing.rev).await {
        Err(refusal) if refusal.is("path_lookup/not_found") => Ok(()),
        Err(refusal) => Err(refusal.fault("remove", path)),
        Ok(()) => {
            if let Some(why) = why {
                folder.trashed(path, thing, why).await;
            }
            Ok(())
        }
    }
}

/// Takes back a file that was just placed where it should not be.
pub(crate) async fn take_back(folder: &Folder, path: &Path, thing: &Thing) -> Result<(), Fault> {
    delete_file(folder, path, thing, None).await
}

/// Whether anything is in a folder of the account.
async fn holds_something(folder: &Folder, at: &str, path: &Path) -> Result<bool, Fault> {
    let arg = json!({ "path": at, "limit": 1 });
    let told = folder.client.ask("files/list_folder", &arg).await;
    let told = told.map_err(|refusal| refusal.fault("list", path))?;
    Ok(told["has_more"] == true || told["entries"].as_array().is_none_or(|it| !it.is_empty()))
}

fn not_empty(path: &Path) -> Fault {
    Fault::new(FaultKind::NotEmpty, format!("the directory `{path}` holds something"))
}

/// Removes a folder that was just seen, if it is empty.
pub(crate) async fn remove_folder(folder: &Folder, path: &Path) -> Result<(), Fault> {
    let at = folder.at(path);
    if holds_something(folder, &at, path).await? {
        return Err(not_empty(path));
    }
    let aside = folder.own(&format!("{ASIDE}/{:016x}", fastrand::u64(..)));
    let moved_to = format!("{aside}{}", name::held(path));
    let arg = json!({ "from_path": at, "to_path": moved_to });
    match folder.client.change("files/move_v2", &arg).await {
        Ok(_) => {}
        Err(refusal) if refusal.is("from_lookup/not_found") => return Ok(()),
        Err(refusal) => return Err(refusal.fault("remove", path)),
    }
    folder.spelling.forget();
    if put_back(folder, &aside).await? { Err(not_empty(path)) } else { Ok(()) }
}

/// Puts back all files of a folder that was moved aside, and deletes the rest; whether there were
/// any.
async fn put_back(folder: &Folder, aside: &str) -> Result<bool, Fault> {
    let failed = |refusal: Refusal| refusal.fault("tidy up", aside);
    let arg = json!({ "path": aside, "recursive": true });
    let mut told = folder.client.ask("files/list_folder", &arg).await.map_err(failed)?;
    let mut put = false;
    loop {
        for entry in told["entries"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let from = entry["path_display"].as_str().unwrap_or_default();
            let below = from.get(aside.len()..).filter(|_| entry[".tag"] == "file");
            let Some(below) = below else { continue };
            let to = format!("{}{below}", folder.root());
            let arg = json!({ "from_path": from, "to_path": to, "autorename": true });
            folder.client.change("files/move_v2", &arg).await.map_err(failed)?;
            put = true;
        }
        if told["has_more"] != true {
            break;
        }
        let arg = json!({ "cursor": told["cursor"] });
        told = folder.client.ask("files/list_folder/continue", &arg).await.map_err(failed)?;
    }
    match folder.client.change("files/delete_v2", &json!({ "path": aside })).await {
        Err(refusal) if !refusal.is("path_lookup/not_found") => Err(failed(refusal)),
        _ => Ok(put),
    }
}

/// Ends removals that a crash has interrupted.
pub(crate) async fn recover(folder: &Folder) -> Result<(), Fault> {
    let top = folder.own(ASIDE);
    loop {
        let arg = json!({ "path": top });
        let told = match folder.client.ask("files/list_folder", &arg).await {
            Ok(told) => told,
            Err(refusal) if refusal.is("path/not_found") => return Ok(()),
            Err(refusal) => return Err(refusal.fault("tidy up", &top)),
        };
        let entries = told["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            let name = entry["name"].as_str().unwrap_or_default();
            put_back(folder, &format!("{top}/{name}")).await?;
        }
    }
}

/// Removes what is in the state `expect`.
pub(crate) async fn remove(folder: &Folder, path: &Path, expect: Tag) -> Result<(), Fault> {
    name::check(path)?;
    match folder.find(path).await? {
        There::Nothing => folder.verify().await,
        There::Twin => Ok(()),
        There::Is(thing) if thing.state.tag != expect || thing.odd.is_some() => Err(changed(path)),
        There::Is(thing) if thing.is_folder() => remove_folder(folder, path).await,
        There::Is(thing) => delete_file(folder, path, &thing, Some(Why::Removed)).await,
    }
}

/// Makes a directory where `expect` stands.
pub(crate) async fn make_directory(
    folder: &Folder,
    path: &Path,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    if path.is_root() {
        folder.verify().await?;
        return Ok(state::root());
    }
    name::check(path)?;
    if let There::Is(thing) = folder.find(path).await?
        && thing.is_folder()
    {
        return thing.told();
    }
    if let Some(thing) = folder.target(path, expect).await? {
        delete_file(folder, path, &thing, Some(Why::Replaced)).await?;
    }
    let arg = json!({ "path": folder.at(path), "autorename": false });
    match folder.client.change("files/create_folder_v2", &arg).await {
        Ok(made) => {
            let made = made_folder(&made["metadata"]).ok_or_else(|| changed(path))?;
            // A folder above it that was made in this instant may be a twin of the one meant.
            if folder.is_at(&made, path).await? { Ok(made.state) } else { Err(taken(path)) }
        }
        Err(refusal) if refusal.has("conflict") => match folder.find(path).await? {
            There::Is(thing) if thing.is_folder() => thing.told(),
            There::Twin => Err(taken(path)),
            There::Nothing if refusal.has("file_ancestor") => Err(not_a_directory(path)),
            There::Is(_) | There::Nothing => Err(changed(path)),
        },
        Err(refusal) => Err(refusal.fault("make", path)),
    }
}

/// Where only a folder can be answered, there is no tag.
fn made_folder(metadata: &Value) -> Option<Thing> {
    let mut metadata = metadata.clone();
    metadata[".tag"] = Value::from("folder");
    Thing::read(&metadata)
}

/// Renames `from` to `to`.
pub(crate) async fn rename(
    folder: &Arc<Folder>,
    (from, expect_from): (&Path, Tag),
    (to, expect_to): (&Path, Option<Tag>),
) -> Result<State, Fault> {
    name::check(from)?;
    name::check(to)?;
    let thing = match folder.find(from).await? {
        There::Is(thing) if thing.state.tag == expect_from && thing.odd.is_none() => thing,
        There::Nothing => {
            folder.verify().await?;
            return Err(changed(from));
        }
        _ => return Err(changed(from)),
    };
    if let Some(replaced) = folder.target(to, expect_to).await? {
        if thing.is_folder() || replaced.is_folder() {
            let text = format!("Dropbox can't replace `{to}` by moving `{from}` there");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        return rename_over(folder, (from, thing), (to, replaced)).await;
    }
    let arg = json!({ "from_path": folder.at(from), "to_path": folder.at(to) });
    let moved = match folder.client.change("files/move_v2", &arg).await {
        Ok(moved) => moved,
        Err(refusal) if refusal.is("from_lookup/not_found") => return Err(changed(from)),
        Err(refusal) if refusal.has("duplicated_or_nested_paths") => return Err(taken(to)),
        Err(refusal) => return Err(folder.in_the_way(to, refusal).await),
    };
    folder.spelling.forget();
    let moved = Thing::read(&moved["metadata"]).ok_or_else(|| changed(to))?;
    let is_it = moved.is_folder() || moved.state.tag == thing.state.tag;
    let is_there = folder.is_at(&moved, to).await?;
    if is_it && is_there {
        folder.echo.made(&moved.rev);
        return moved.told();
    }
    // It was edited in this instant, or its new folder is a twin: back to where it was, if that
    // is still free. If not, it stays, and the watch tells so.
    let arg = json!({ "from_path": moved.shown, "to_path": folder.at(from) });
    // Either way it is there, whole, and looked at again.
    let _ = folder.client.change("files/move_v2", &arg).await;
    Err(if is_there { changed(from) } else { taken(to) })
}

/// Puts a file in the place of another one. A move can't, and deleting that first would leave a
/// moment without either: so the bytes are sent once more, in its place, and the old name goes last.
async fn rename_over(
    folder: &Arc<Folder>,
    (from, thing): (&Path, Thing),
    (to, replaced): (&Path, Thing),
) -> Result<State, Fault> {
    let mut source = read::open(Arc::clone(folder), from.clone(), thing.state.tag, 0).await?;
    let content = source.content();
    let place = (to.clone(), content);
    let sink = DropboxSink::begin(Arc::clone(folder), Memory::none(), place).await?;
    let state = pour(&mut source, sink, content, Some(replaced.state.tag)).await?;
    delete_file(folder, from, &thing, None).await?;
    Ok(state)
}

/// Writes all that a source has, and places it.
async fn pour(
    source: &mut DropboxSource,
    mut sink: DropboxSink,
    content: Content,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    loop {
        let bytes = source.next(CHUNK_BYTES).await?;
        if bytes.is_empty() {
            return sink.place(content, expect).await;
        }
        sink.write(bytes).await?;
    }
}

/// Gives a file another time. Dropbox knows only one way: to be sent the bytes once more.
pub(crate) async fn set_attributes(
    folder: &Arc<Folder>,
    (path, expect): (&Path, Tag),
    content: &Content,
) -> Result<State, Fault> {
    let mut source = read::open(Arc::clone(folder), path.clone(), expect, 0).await?;
    let there = source.content();
    let wanted = state::time(content.mtime_ns);
    if wanted.is_none() || wanted == state::time(there.mtime_ns) {
        return Ok(State { content: there, tag: expect });
    }
    let again = Content { mtime_ns: content.mtime_ns, ..there };
    let folder = Arc::clone(folder);
    let sink = DropboxSink::begin(folder, Memory::none(), (path.clone(), again)).await?;
    // The bytes stay: there is nothing that could be wanted back.
    pour(&mut source, sink.replacing_as(None), again, Some(expect)).await
}

/// The checksum of what a line of the trash stands for.
pub(crate) async fn hash_trashed(folder: &Arc<Folder>, line: &Line) -> Result<Checksum, Fault> {
    let mut source = read::revision(folder, line).await?;
    let mut hasher = Hasher::default();
    loop {
        let bytes = source.next(CHUNK_BYTES).await?;
        if bytes.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(&bytes);
    }
}

/// Puts what a line of the trash stands for at `path`. Dropbox's own `restore` overwrites whatever
/// stands there, so the bytes travel once more, and are placed as any others are.
pub(crate) async fn restore(
    folder: &Arc<Folder>,
    line: &Line,
    (path, expect): (&Path, Option<Tag>),
) -> Result<State, Fault> {
    name::check(path)?;
    // Nothing is sent for something that can't be replaced.
    if folder.target(path, expect).await?.is_some_and(|thing| thing.is_folder()) {
        return Err(changed(path));
    }
    let mut source = read::revision(folder, line).await?;
    let content = Content { mtime_ns: line.mtime_ns, ..source.content() };
    let folder = Arc::clone(folder);
    let sink = DropboxSink::begin(folder, Memory::none(), (path.clone(), content)).await?;
    pour(&mut source, sink.replacing_as(Some(Why::Restored)), content, expect).await
}

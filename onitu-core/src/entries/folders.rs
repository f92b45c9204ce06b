//! Folders of this machine: each belongs to one service alone, and none to Onitu itself.
//!
//! Two services on one folder, or one inside the other, would copy their own copies.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Check, Diagnostic, Files};

/// A folder somebody uses.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Whose it is; [`None`] for the state directory.
    pub service: Option<String>,
    /// Absolute, as it was written.
    pub path: PathBuf,
    /// Where it was written.
    pub span: Option<Range<usize>>,
}

impl Folder {
    fn owner(&self) -> String {
        let service = self.service.as_ref();
        service.map_or("`state_dir`".to_owned(), |name| format!("service `{name}`"))
    }
}

impl Check<'_> {
    /// Whether they exist, and whether any two are the same or nested.
    pub fn check_folders(&mut self) {
        let folders = std::mem::take(&mut self.folders);
        for folder in &folders {
            self.check_folder(folder);
        }
        let real: Vec<PathBuf> =
            folders.iter().map(|folder| real(self.setting.files, &folder.path)).collect();
        for (second, b) in folders.iter().enumerate() {
            for (first, a) in folders[..second].iter().enumerate() {
                if a.service != b.service {
                    self.check_pair((a, &real[first]), (b, &real[second]));
                }
            }
        }
    }

    fn check_folder(&mut self, folder: &Folder) {
        let shown = folder.path.display();
        let owner = folder.owner();
        match (self.setting.files.is_folder(&folder.path), &folder.service) {
            (Some(false), _) => {
                let message = format!("`{shown}` of {owner} is not a folder");
                self.say(Diagnostic::error(message, folder.span.clone()));
            }
            (None, Some(_)) => {
                let message = format!("the folder `{shown}` of {owner} doesn't exist");
                self.say(Diagnostic::warning(message, folder.span.clone()).hint(
                    "make it or correct the path; until then the service is unavailable, and \
                     nothing is deleted elsewhere because of it",
                ));
            }
            _ => {}
        }
    }

    fn check_pair(&mut self, a: (&Folder, &Path), b: (&Folder, &Path)) {
        // The one that is told is the later of the text; the other is marked.
        let start = |folder: &Folder| folder.span.as_ref().map_or(0, |span| span.start);
        let (a, b) = if start(a.0) <= start(b.0) { (a, b) } else { (b, a) };
        let (one, other) = (a.0.owner(), b.0.owner());
        let same = a.1 == b.1;
        let message = if same {
            format!("{one} and {other} have the same folder `{}`", b.1.display())
        } else if b.1.starts_with(a.1) {
            format!("the folder of {other} is inside that of {one}")
        } else if a.1.starts_with(b.1) {
            format!("the folder of {one} is inside that of {other}")
        } else {
            return;
        };
        let of_onitu = a.0.service.is_none() || b.0.service.is_none();
        let hint = if of_onitu {
            let state = if a.0.service.is_none() { a.0 } else { b.0 };
            let path = state.path.display();
            format!(
                "Onitu's own files (`{path}`) must not be synchronized: set `state_dir` in \
                 `[onitu]` to a directory outside of every service"
            )
        } else {
            "each service needs a folder of its own, else copies would be copied again".to_owned()
        };
        let label = if same { "the same folder" } else { "the other folder" };
        let problem = Diagnostic::error(message, b.0.span.clone()).hint(hint);
        self.say(problem.mark(a.0.span.clone(), label));
    }
}

/// Without symbolic links as far as it exists; the rest is taken as it is written.
fn real(files: &dyn Files, path: &Path) -> PathBuf {
    if let Some(real) = files.canonical(path) {
        return real;
    }
    let Some(parent) = path.parent() else { return path.to_owned() };
    let mut whole = real(files, parent);
    match path.file_name() {
        Some(name) => whole.push(name),
        // It ends in `..`, of something that doesn't exist.
        None => drop(whole.pop()),
    }
    whole
}

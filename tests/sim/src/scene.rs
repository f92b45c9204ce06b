//! Scenes: users of several services change the same thing in the same moment, in every way that
//! the decision has a word for.

use fastrand::Rng;
use onitu_core::Path;
use onitu_driver_memory::Thing;

use crate::books::Books;
use crate::house::House;
use crate::user::{Tree, User, any, inside, somewhere};

/// What the users of some services have before them.
struct Stage<'a> {
    house: &'a House,
    books: &'a mut Books,
    rng: &'a mut Rng,
    /// Two or three services, in random order.
    cast: Vec<usize>,
    /// What the first two have in common.
    common: Tree,
}

/// Lets one scene happen; tells which.
pub(crate) fn play(house: &House, books: &mut Books, rng: &mut Rng) -> String {
    let mut cast: Vec<usize> = house.present().collect();
    rng.shuffle(&mut cast);
    cast.truncate(rng.usize(2..=3));
    let [first, second, ..] = cast[..] else { return "nobody to play with".to_owned() };
    let theirs = house.members[second].storage.tree();
    let mut common = house.members[first].storage.tree();
    common.retain(|path, thing| {
        theirs
            .get(path)
            .is_some_and(|it| std::mem::discriminant(it) == std::mem::discriminant(thing))
    });
    let scenes = [
        Stage::edit_against_deletion,
        Stage::file_against_directory,
        Stage::made_in_a_removed_directory,
        Stage::rename_against_edit,
        Stage::rename_against_deletion,
        Stage::crossing_renames,
        Stage::swap_against_edit,
        Stage::all_write_one_path,
        Stage::all_write_the_same,
        Stage::directory_renamed_against_edit,
        Stage::directory_renamed_twice,
        Stage::renamed_to_two_names,
        Stage::two_renamed_to_one_name,
        Stage::directory_becomes_a_file,
    ];
    let scene = scenes[rng.usize(0..scenes.len())];
    let mut stage = Stage { house, books, rng, cast, common };
    let what = scene(&mut stage).unwrap_or_else(|| "nothing to play with".to_owned());
    let names = stage.cast.iter().map(|at| house.members[*at].service.name.as_str());
    format!("{}: {what}", names.collect::<Vec<_>>().join(" and "))
}

impl Stage<'_> {
    fn user(&mut self, at: usize) -> User<'_> {
        User::new(self.house, self.cast[at], self.books)
    }

    fn common_file(&mut self) -> Option<Path> {
        self.common_where(|thing| matches!(thing, Thing::File { .. }))
    }

    fn common_directory(&mut self) -> Option<Path> {
        self.common_where(|thing| matches!(thing, Thing::Directory))
    }

    fn common_where(&mut self, is_it: impl Fn(&Thing) -> bool) -> Option<Path> {
        let mut tree = self.common.clone();
        tree.retain(|_, thing| is_it(thing));
        any(&tree, self.rng).map(|(path, _)| path)
    }

    fn free_path(&mut self) -> Option<Path> {
        let path = somewhere(&self.common, self.rng);
        (!self.common.contains_key(&path)).then_some(path)
    }

    /// Where no directory stands.
    fn any_path(&mut self) -> Option<Path> {
        let path = somewhere(&self.common, self.rng);
        (self.common.get(&path) != Some(&Thing::Directory)).then_some(path)
    }

    fn write(&mut self, at: usize, path: &Path) {
        let content = self.books.new_content(self.rng);
        if self.rng.bool() {
            self.user(at).write(path, &content, false);
        } else {
            self.user(at).save(path, &content);
        }
    }

    fn edit_against_deletion(&mut self) -> Option<String> {
        let path = self.common_file()?;
        self.write(0, &path);
        self.user(1).remove(&path);
        Some(format!("{path} edited and deleted"))
    }

    fn file_against_directory(&mut self) -> Option<String> {
        let path = self.free_path()?;
        self.write(0, &path);
        self.user(1).make_directory(&path);
        if self.rng.bool() {
            let child = inside(&path, self.rng);
            self.write(1, &child);
        }
        Some(format!("{path} made as a file and as a directory"))
    }

    fn made_in_a_removed_directory(&mut self) -> Option<String> {
        let path = self.common_directory()?;
        self.user(0).remove(&path);
        let child = inside(&path, self.rng);
        self.write(1, &child);
        Some(format!("{path} removed, {child} written"))
    }

    fn rename_against_edit(&mut self) -> Option<String> {
        let (path, to) = (self.common_file()?, self.free_path()?);
        self.user(0).rename(&path, &to);
        if self.rng.bool() {
            self.user(1).append(&path);
        } else {
            self.write(1, &path);
        }
        Some(format!("{path} renamed to {to} and edited"))
    }

    fn rename_against_deletion(&mut self) -> Option<String> {
        let (path, to) = (self.common_file()?, self.free_path()?);
        self.user(0).rename(&path, &to);
        self.user(1).remove(&path);
        Some(format!("{path} renamed to {to} and deleted"))
    }

    fn crossing_renames(&mut self) -> Option<String> {
        let (a, b) = (self.common_file()?, self.common_file()?);
        self.user(0).rename(&a, &b);
        self.user(1).rename(&b, &a);
        Some(format!("{a} renamed to {b}, and {b} to {a}"))
    }

    fn swap_against_edit(&mut self) -> Option<String> {
        let (a, b, spare) = (self.common_file()?, self.common_file()?, self.free_path()?);
        let mut user = self.user(0);
        let swapped = user.rename(&a, &spare) && user.rename(&b, &a) && user.rename(&spare, &b);
        self.write(1, &a);
        Some(format!("{a} and {b} swapped by way of {spare} ({swapped}), {a} edited"))
    }

    fn all_write_one_path(&mut self) -> Option<String> {
        let path = self.any_path()?;
        for at in 0..self.cast.len() {
            self.write(at, &path);
        }
        Some(format!("all write {path}"))
    }

    fn all_write_the_same(&mut self) -> Option<String> {
        let path = self.any_path()?;
        let content = self.books.new_content(self.rng);
        for at in 0..self.cast.len() {
            self.user(at).write(&path, &content, false);
        }
        Some(format!("all write the same to {path}"))
    }

    fn directory_renamed_against_edit(&mut self) -> Option<String> {
        let (path, to) = (self.common_directory()?, self.free_path()?);
        self.user(0).rename(&path, &to);
        let mut within = self.common.clone();
        within.retain(|held, thing| held.is_within(&path) && matches!(thing, Thing::File { .. }));
        let edited = any(&within, self.rng).map_or_else(|| inside(&path, self.rng), |it| it.0);
        self.write(1, &edited);
        Some(format!("directory {path} renamed to {to}, {edited} written"))
    }

    fn directory_renamed_twice(&mut self) -> Option<String> {
        let (path, to, other) = (self.common_directory()?, self.free_path()?, self.free_path()?);
        self.user(0).rename(&path, &to);
        self.user(1).rename(&path, &other);
        Some(format!("directory {path} renamed to {to} and to {other}"))
    }

    fn renamed_to_two_names(&mut self) -> Option<String> {
        let (path, to, other) = (self.common_file()?, self.free_path()?, self.free_path()?);
        self.user(0).rename(&path, &to);
        self.user(1).rename(&path, &other);
        Some(format!("{path} renamed to {to} and to {other}"))
    }

    fn two_renamed_to_one_name(&mut self) -> Option<String> {
        let (a, b, to) = (self.common_file()?, self.common_file()?, self.free_path()?);
        self.user(0).rename(&a, &to);
        self.user(1).rename(&b, &to);
        Some(format!("{a} and {b} renamed to {to}"))
    }

    fn directory_becomes_a_file(&mut self) -> Option<String> {
        let path = self.common_directory()?;
        self.user(0).remove(&path);
        self.write(0, &path);
        let child = inside(&path, self.rng);
        self.write(1, &child);
        Some(format!("directory {path} made a file, {child} written"))
    }
}

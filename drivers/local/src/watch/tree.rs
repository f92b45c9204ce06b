//! Which directory each watch belongs to, small enough for hundreds of thousands of them: each
//! knows its parent and its own name, so that a renamed directory is one change.

use std::collections::HashMap;

/// Watch descriptor.
pub(super) type Wd = i32;

/// The watched directories.
#[derive(Default)]
pub(super) struct Tree {
    nodes: HashMap<Wd, Node>,
    root: Option<Wd>,
}

struct Node {
    /// [`None`] for the root, and for a directory that was moved somewhere unknown.
    parent: Option<Wd>,
    name: Box<str>,
    children: Vec<Wd>,
    round: u32,
}

impl Tree {
    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The root's watch.
    pub(super) fn root(&self) -> Option<Wd> {
        self.root
    }

    /// Notes that `wd` watches `name` in `parent` (the root without one), as seen in `round`.
    /// Tells whether it did already.
    pub(super) fn insert(&mut self, wd: Wd, parent: Option<Wd>, name: &str, round: u32) -> bool {
        let known = match self.nodes.get_mut(&wd) {
            Some(node) if node.parent == parent && *node.name == *name => {
                node.round = round;
                return true;
            }
            Some(_) => {
                self.detach(wd);
                self.nodes.remove(&wd)
            }
            None => None,
        };
        let children = known.map_or_else(Vec::new, |node| node.children);
        match parent {
            Some(parent) => self.nodes.get_mut(&parent).into_iter().for_each(|node| {
                node.children.push(wd);
            }),
            None => self.root = Some(wd),
        }
        self.nodes.insert(wd, Node { parent, name: name.into(), children, round });
        false
    }

    /// The path of the directory that `wd` watches, as text; nothing if it isn't in the tree.
    pub(super) fn path(&self, wd: Wd) -> Option<String> {
        let mut names = Vec::new();
        let mut at = wd;
        while Some(at) != self.root {
            let node = self.nodes.get(&at)?;
            names.push(&*node.name);
            at = node.parent?;
        }
        names.reverse();
        Some(names.join("/"))
    }

    /// The watch of `name` in the directory that `parent` watches. The oldest, if a directory was
    /// replaced by another one and the kernel's word of that is still to come.
    pub(super) fn child(&self, parent: Wd, name: &str) -> Option<Wd> {
        let children = &self.nodes.get(&parent)?.children;
        children
            .iter()
            .copied()
            .find(|child| self.nodes.get(child).is_some_and(|node| *node.name == *name))
    }

    /// Takes `wd` and what is below it out of the tree, to be inserted elsewhere or removed.
    pub(super) fn detach(&mut self, wd: Wd) {
        let parent = self.nodes.get_mut(&wd).and_then(|node| node.parent.take());
        if let Some(node) = parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            node.children.retain(|child| *child != wd);
        }
    }

    /// Forgets `wd` and what is below it, and tells all of them.
    pub(super) fn remove(&mut self, wd: Wd) -> Vec<Wd> {
        self.detach(wd);
        let mut removed = vec![wd];
        let mut next = 0;
        while let Some(node) = removed.get(next).copied() {
            removed.extend(self.nodes.remove(&node).into_iter().flat_map(|node| node.children));
            next += 1;
        }
        removed
    }

    /// The watches that weren't seen in `round`.
    pub(super) fn unseen(&self, round: u32) -> Vec<Wd> {
        self.nodes.iter().filter(|(_, node)| node.round != round).map(|(wd, _)| *wd).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.insert(1, None, "", 0);
        tree.insert(2, Some(1), "a", 0);
        tree.insert(3, Some(2), "b", 0);
        tree.insert(4, Some(1), "c", 0);
        tree
    }

    #[test]
    fn a_moved_directory_takes_its_children_along() {
        let mut tree = tree();
        assert_eq!(tree.path(3).as_deref(), Some("a/b"));
        tree.detach(2);
        assert_eq!((tree.path(3), tree.child(1, "a")), (None, None));
        assert!(!tree.insert(2, Some(4), "x", 0));
        assert_eq!(tree.path(3).as_deref(), Some("c/x/b"));
        assert!(tree.insert(3, Some(2), "b", 0));
    }

    #[test]
    fn a_removed_directory_leaves_nothing_behind() {
        let mut tree = tree();
        assert_eq!(tree.remove(2), [2, 3]);
        assert_eq!((tree.len(), tree.path(3), tree.path(1).as_deref()), (2, None, Some("")));
        assert_eq!(tree.remove(77), [77]);
    }

    #[test]
    fn of_two_directories_of_one_name_the_older_is_the_one_that_went() {
        let mut tree = tree();
        assert!(!tree.insert(9, Some(1), "a", 0));
        assert_eq!(tree.child(1, "a"), Some(2));
        tree.remove(2);
        assert_eq!((tree.child(1, "a"), tree.path(9).as_deref()), (Some(9), Some("a")));
    }

    #[test]
    fn what_was_not_seen_again_is_told() {
        let mut tree = tree();
        for (wd, parent, name) in [(1, None, ""), (4, Some(1), "c")] {
            tree.insert(wd, parent, name, 1);
        }
        let mut unseen = tree.unseen(1);
        unseen.sort_unstable();
        assert_eq!(unseen, [2, 3]);
    }
}

//! The resource tree: which object instances there are, what their resources hold, and when that last changed.
//!
//! Knows no rights, types or servers: what comes here was judged before.

use std::collections::{BTreeMap, BTreeSet};

use super::path::Path;
use super::value::{Content, Entry, Value};

/// Counts changes of values and of the set of instances, so that "changed since" is one comparison. 0 comes before every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// Counts changes of the set of object instances (what a registration lists).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shape(pub u64);

/// All object instances and resources of this client.
///
/// Every look-up and change costs the depth of a balanced tree, whatever the number of instances; walking a
/// sub-tree costs its own size.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Objects that are there with or without an instance.
    objects: BTreeSet<u16>,
    instances: BTreeSet<Path>,
    resources: BTreeMap<Path, Stored>,
    revision: Revision,
    shape: Shape,
}

#[derive(Debug, Clone)]
struct Stored {
    content: Content,
    revision: Revision,
}

impl Tree {
    /// The object is there from now on, though it may have no instance.
    pub fn add_object(&mut self, object: u16) {
        if self.objects.insert(object) {
            self.shape.0 += 1;
        }
    }

    /// Makes an object instance; false if it was there.
    pub fn add_instance(&mut self, instance: Path) -> bool {
        debug_assert_eq!(instance.depth(), 2);
        let new = self.instances.insert(instance);
        if new {
            self.shape.0 += 1;
            self.revision.0 += 1;
        }
        new
    }

    /// Sets a resource and makes its instance as needed; true if the content differs from the one before.
    pub fn set(&mut self, resource: Path, content: Content) -> bool {
        if let Some(stored) = self.resources.get_mut(&resource) {
            // What has a resource is there.
            if stored.content == content {
                return false;
            }
            self.revision.0 += 1;
            *stored = Stored { content, revision: self.revision };
            return true;
        }
        let Some(instance) = resource.parent() else { return false };
        self.add_instance(instance);
        self.revision.0 += 1;
        self.resources.insert(resource, Stored { content, revision: self.revision });
        true
    }

    /// Sets a resource whose change is no news to anyone, such as a clock.
    pub fn set_silently(&mut self, resource: Path, content: Content) {
        if let Some(stored) = self.resources.get_mut(&resource) {
            stored.content = content;
            return;
        }
        let Some(instance) = resource.parent() else { return };
        self.add_instance(instance);
        self.resources.insert(resource, Stored { content, revision: Revision::default() });
    }

    /// Takes a resource away; true if it was there.
    pub fn remove(&mut self, resource: Path) -> bool {
        let was_there = self.resources.remove(&resource).is_some();
        if was_there {
            self.revision.0 += 1;
        }
        was_there
    }

    /// Takes an instance away with all its resources; gives those that it had.
    pub fn remove_instance(&mut self, instance: Path) -> Vec<Path> {
        if !self.instances.remove(&instance) {
            return vec![];
        }
        self.shape.0 += 1;
        self.revision.0 += 1;
        let below = self.resources.range(instance..).map(|(at, _)| *at);
        let gone: Vec<_> = below.take_while(|at| instance.covers(*at)).collect();
        for resource in &gone {
            self.remove(*resource);
        }
        gone
    }

    /// What a resource holds, and since which change.
    pub fn current(&self, resource: Path) -> Option<(&Content, Revision)> {
        self.resources.get(&resource).map(|stored| (&stored.content, stored.revision))
    }

    /// What a resource holds.
    pub fn content(&self, resource: Path) -> Option<&Content> {
        self.resources.get(&resource).map(|stored| &stored.content)
    }

    /// The value of a single-instance resource, or of one resource instance.
    pub fn value(&self, path: Path) -> Option<&Value> {
        match (path.resource_instance(), self.content(resource_of(path)?)?) {
            (None, Content::Single(value)) => Some(value),
            (Some(wanted), Content::Multiple(values)) => {
                values.iter().find_map(|(id, value)| (*id == wanted).then_some(value))
            }
            _ => None,
        }
    }

    /// The resources at and below a path in order; for a resource instance that one value alone.
    pub fn entries(&self, path: Path) -> Vec<Entry> {
        if let Some(id) = path.resource_instance() {
            let Some(resource) = path.parent() else { return vec![] };
            let value = self.value(path).cloned();
            return value
                .map(|value| Entry { path: resource, content: Content::Multiple(vec![(id, value)]) })
                .into_iter()
                .collect();
        }
        let below = self.resources.range(path..).take_while(|(at, _)| path.covers(**at));
        below.map(|(at, stored)| Entry { path: *at, content: stored.content.clone() }).collect()
    }

    /// The resources at and below a path (root, object, instance or resource) in order.
    pub fn paths(&self, path: Path) -> impl Iterator<Item = Path> + '_ {
        self.resources.range(path..).map(|(at, _)| *at).take_while(move |at| path.covers(*at))
    }

    /// The object instances at and below a path (root, object or instance) in order.
    pub fn instances(&self, path: Path) -> impl Iterator<Item = Path> + '_ {
        self.instances.range(path..).copied().take_while(move |at| path.covers(*at))
    }

    /// The instance of an object with the highest ID.
    pub fn last_instance(&self, object: Path) -> Option<Path> {
        let highest = object.child(u16::MAX - 1)?;
        self.instances.range(object..=highest).next_back().copied()
    }

    /// What a registration lists: every instance, and the objects that have none.
    pub fn listed(&self) -> impl Iterator<Item = Path> + '_ {
        let objects = self.objects.iter().map(|object| Path::object_only(*object));
        let empty = objects.filter(|object| self.instances(*object).next().is_none());
        empty.chain(self.instances(Path::ROOT))
    }

    /// There is such an object, instance, resource or resource instance.
    pub fn exists(&self, path: Path) -> bool {
        match path.depth() {
            0 => true,
            1 => {
                path.object().is_some_and(|object| self.objects.contains(&object))
                    || self.instances(path).next().is_some()
            }
            2 => self.instances.contains(&path),
            3 => self.resources.contains_key(&path),
            _ => self.value(path).is_some(),
        }
    }

    /// The last change of a resource, or of the resource that a resource instance belongs to.
    pub fn revision_of(&self, path: Path) -> Option<Revision> {
        self.resources.get(&resource_of(path)?).map(|stored| stored.revision)
    }

    /// Something at or below the path changed after `since`.
    pub fn changed_since(&self, path: Path, since: Revision) -> bool {
        let Some(resource) = resource_of(path) else {
            let mut below = self.resources.range(path..).take_while(|(at, _)| path.covers(**at));
            return below.any(|(_, stored)| stored.revision > since);
        };
        self.revision_of(resource).is_some_and(|revision| revision > since)
    }

    /// The newest change of anything.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The newest change of the set of instances.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of resources and instances, for a bound on it.
    pub fn size(&self) -> usize {
        self.resources.len() + self.instances.len()
    }
}

/// The resource that a path names or lies in.
fn resource_of(path: Path) -> Option<Path> {
    match path.depth() {
        3 => Some(path),
        4 => path.parent(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    fn single(number: i64) -> Content {
        Content::Single(Value::Integer(number))
    }

    #[test]
    fn only_a_different_content_is_a_change() {
        let mut tree = Tree::default();
        assert!(tree.set(path("/9/0/1"), single(1)));
        let before = tree.revision();
        assert!(!tree.set(path("/9/0/1"), single(1)));
        assert!(!tree.changed_since(path("/9"), before));
        assert!(tree.set(path("/9/0/1"), single(2)));
        assert!(tree.changed_since(path("/9"), before) && tree.changed_since(path("/9/0/1"), before));
        assert!(!tree.changed_since(path("/10"), before));
    }

    #[test]
    fn silent_sets_are_read_but_are_no_change() {
        let mut tree = Tree::default();
        tree.set(path("/3/0/13"), single(1));
        let before = tree.revision();
        tree.set_silently(path("/3/0/13"), single(2));
        assert_eq!(tree.content(path("/3/0/13")), Some(&single(2)));
        assert!(!tree.changed_since(path("/3"), before));
    }

    #[test]
    fn shape_changes_with_instances_alone() {
        let mut tree = Tree::default();
        tree.set(path("/9/0/1"), single(1));
        let shape = tree.shape();
        tree.set(path("/9/0/2"), single(1));
        assert_eq!(tree.shape(), shape);
        tree.set(path("/9/1/1"), single(1));
        assert_ne!(tree.shape(), shape);
        assert_eq!(tree.instances(path("/9")).collect::<Vec<_>>(), [path("/9/0"), path("/9/1")]);
    }

    #[test]
    fn entries_are_those_under_the_path_and_no_neighbours() {
        let mut tree = Tree::default();
        for at in ["/3/0/1", "/9/0/1", "/9/0/2", "/9/1/1", "/10/0/1"] {
            tree.set(path(at), single(1));
        }
        let under =
            |at| tree.entries(path(at)).iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>();
        assert_eq!(under("/9"), ["/9/0/1", "/9/0/2", "/9/1/1"]);
        assert_eq!(under("/9/0"), ["/9/0/1", "/9/0/2"]);
        assert_eq!(under("/9/0/2"), ["/9/0/2"]);
        assert!(under("/8").is_empty());
    }

    #[test]
    fn resource_instances_are_found_singly() {
        let mut tree = Tree::default();
        let values = vec![(0, Value::Integer(7)), (4, Value::Integer(8))];
        tree.set(path("/3/0/6"), Content::Multiple(values));
        assert_eq!(tree.value(path("/3/0/6/4")), Some(&Value::Integer(8)));
        assert!(tree.value(path("/3/0/6")).is_none() && !tree.exists(path("/3/0/6/1")));
        let one = tree.entries(path("/3/0/6/4"));
        assert_eq!(one[0].content, Content::Multiple(vec![(4, Value::Integer(8))]));
    }

    #[test]
    fn an_object_may_stand_without_instances_and_is_listed_then() {
        let mut tree = Tree::default();
        tree.add_object(16);
        assert!(tree.exists(path("/16")) && tree.entries(path("/16")).is_empty());
        assert_eq!(tree.listed().collect::<Vec<_>>(), [path("/16")]);
        tree.set(path("/16/4/0"), single(1));
        assert_eq!(tree.listed().collect::<Vec<_>>(), [path("/16/4")]);
        tree.set(path("/17/9/0"), single(1));
        assert_eq!(tree.last_instance(path("/16")), Some(path("/16/4")));
        assert_eq!(tree.last_instance(path("/15")), None);
    }

    #[test]
    fn an_instance_goes_with_its_resources_and_no_neighbours() {
        let mut tree = Tree::default();
        for at in ["/16/1/0", "/16/1/3", "/16/10/0", "/16/2/0"] {
            tree.set(path(at), single(1));
        }
        let (shape, revision) = (tree.shape(), tree.revision());
        assert_eq!(tree.remove_instance(path("/16/1")), [path("/16/1/0"), path("/16/1/3")]);
        assert!(tree.shape() > shape && tree.revision() > revision);
        assert!(!tree.exists(path("/16/1")) && tree.exists(path("/16/10/0")) && tree.exists(path("/16/2/0")));
        assert!(tree.remove_instance(path("/16/1")).is_empty());
    }

    #[test]
    fn an_instance_may_stand_without_resources() {
        let mut tree = Tree::default();
        assert!(tree.add_instance(path("/3303/4")) && !tree.add_instance(path("/3303/4")));
        assert!(
            tree.exists(path("/3303"))
                && tree.exists(path("/3303/4"))
                && tree.entries(path("/3303")).is_empty()
        );
    }
}

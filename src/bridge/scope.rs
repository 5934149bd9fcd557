//! Which resources and instances a set of mappings stands for: what may stay in the tree when the mappings change.
//!
//! An instance that was allocated for captures stays only if one of the mappings has fed it: `instances` knows.

use std::collections::BTreeSet;

use crate::lwm2m::path::Path;

use super::command::Target;
use super::instances::Instances;
use super::mapping::{Mappings, Selector};

/// The resources that mappings feed or have a command for. A look-up costs the depth of a tree.
#[derive(Debug, Default)]
pub struct Scope {
    /// Resources of instances that are named outright.
    fixed: BTreeSet<Path>,
    /// Object, number of captures that an instance stands for, resource.
    captured: BTreeSet<(u16, usize, u16)>,
}

impl Scope {
    pub fn of(mappings: &Mappings) -> Self {
        let mut scope = Self::default();
        for mapping in &mappings.mappings {
            for feed in &mapping.feeds {
                match &mapping.instance {
                    Selector::Fixed(id) => scope.add_fixed(mapping.object, *id, feed.resource.id),
                    Selector::Captured(names) => {
                        scope.captured.insert((mapping.object, names.len(), feed.resource.id));
                    }
                }
            }
        }
        for command in &mappings.commands {
            match &command.target {
                Target::Fixed(id) => scope.add_fixed(command.object, *id, command.resource),
                Target::Captured(names) => {
                    scope.captured.insert((command.object, names.len(), command.resource));
                }
            }
        }
        scope
    }

    /// This instance, or resource, is one that the mappings stand for.
    pub fn has(&self, path: Path, instances: &Instances) -> bool {
        let (Some(object), Some(id)) = (path.object(), path.instance()) else { return false };
        let captures = instances.key(object, id).map(Vec::len).filter(|_| instances.is_shown(object, id));
        match path.resource() {
            Some(resource) => {
                self.fixed.contains(&Path::resource_of(object, id, resource))
                    || captures.is_some_and(|count| self.captured.contains(&(object, count, resource)))
            }
            None => {
                let is_fixed = self.fixed.range(path..).next().is_some_and(|first| path.covers(*first));
                let of_captures = |count| {
                    self.captured.range((object, count, 0)..=(object, count, u16::MAX)).next().is_some()
                };
                is_fixed || captures.is_some_and(of_captures)
            }
        }
    }

    fn add_fixed(&mut self, object: u16, instance: u16, resource: u16) {
        self.fixed.insert(Path::resource_of(object, instance, resource));
    }
}

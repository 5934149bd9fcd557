//! Instances that nothing was heard of for `forget_after` go.

use super::entry::Name;
use super::{Instances, Source, Urgency};

impl Instances {
    /// Some mapping forgets its instances after a while, and it is known what day it is.
    pub fn may_forget(&self) -> bool {
        self.today.is_some() && self.sources.iter().any(|source| source.forget_after.is_some())
    }

    /// Takes away the instances that every mapping which feeds them wants forgotten by now, and gives their objects and IDs.
    ///
    /// Days count from the day on which there first was one: nothing is forgotten for the time without a clock.
    pub fn forget_silent(&mut self) -> Vec<(u16, u16)> {
        let Some(today) = self.today else { return vec![] };
        let mut silent = vec![];
        for (object, of_object) in &mut self.by_object {
            for (id, entry) in &mut of_object.by_id {
                let Some(days) = patience(entry.sources(), &self.sources) else { continue };
                match entry.last_seen {
                    Some(last) if today.since(last) > days => silent.push((*object, *id)),
                    Some(_) => {}
                    None => {
                        entry.see(Some(today));
                        self.unwritten.entry((*object, *id)).or_insert(Urgency::Lazily);
                    }
                }
            }
        }
        silent.iter().for_each(|(object, id)| self.forget(*object, *id));
        silent
    }

    fn forget(&mut self, object: u16, id: u16) {
        let Some(of_object) = self.by_object.get_mut(&object) else { return };
        let Some(entry) = of_object.by_id.remove(&id) else { return };
        let key: Vec<&str> = entry.key.iter().map(String::as_str).collect();
        of_object.by_name.remove(&Name::new(&key));
        of_object.free_from = of_object.free_from.min(id);
        for index in entry.sources() {
            if let Some(source) = self.sources.get_mut(*index) {
                source.count -= 1;
                source.is_full_told = false;
            }
        }
        self.unwritten.insert((object, id), Urgency::Soon);
    }
}

/// After how many days without a value the last of these sources forgets; `None`: never, or nobody shows it anyway.
fn patience(of: &[usize], sources: &[Source]) -> Option<u32> {
    let days = of.iter().filter_map(|index| sources.get(*index)).map(|source| source.forget_after);
    days.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten()
}

//! What a configuration that is read again may change while the gateway runs: its mappings, and nothing else.

use std::collections::BTreeMap;

use super::Written;
use super::show::Entry;

/// The keys whose value is another than before and counts only from the next start on, in order. Of files that keys
/// name only the name is looked at.
pub fn needs_restart(before: &Written, after: &Written) -> Vec<String> {
    let (before, after) = (by_key(before), by_key(after));
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    let mut changed: Vec<_> = keys.filter(|key| before.get(*key) != after.get(*key)).cloned().collect();
    changed.sort();
    changed
}

fn by_key(written: &Written) -> BTreeMap<String, Option<String>> {
    let entries = written.entries(true).into_iter();
    let of_start = entries.filter(|entry| !entry.key.starts_with("mappings"));
    of_start.map(|Entry { key, value, .. }| (key, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::show;

    fn written(text: &str) -> (tempfile::TempDir, Written) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nbgate.toml");
        std::fs::write(&file, text).unwrap();
        let written = show::read(&file);
        (folder, written)
    }

    #[test]
    fn mappings_and_what_is_written_as_it_was_need_no_restart() {
        let (_one, before) = written("uplink = \"udp\"\n[mqtt]\nclient_id = \"nbgate\"");
        let mapping = "[[mappings]]\ntopic = \"a\"\nobject = 3303\nresource = 5700";
        let (_two, after) = written(&format!("uplink = \"udp\"\n{mapping}"));
        assert!(needs_restart(&before, &after).is_empty());
    }

    #[test]
    fn whatever_else_changes_comes_or_goes_is_named() {
        let (_one, before) = written("uplink = \"udp\"\n[[lwm2m.servers]]\nuri = \"coap://a\"");
        let (_two, after) = written("[mqtt]\nkeep_alive = \"5s\"");
        let changed = needs_restart(&before, &after);
        for key in ["uplink", "mqtt.keep_alive", "lwm2m.servers[0].uri"] {
            assert!(changed.iter().any(|changed| changed == key), "{key} in {changed:?}");
        }
    }
}

//! The store on a real disk: what a damaged file, a full disk, a second process or a kill -9 does to it, and what stays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nbgate::clock::UnixTime;
use nbgate::persist::{Answer, Contents, Day, Instance, Modem, Request, Write};
use nbgate::store::{FILE, Store};

/// Longest wait for anything that must happen.
const BOUND: Duration = Duration::from_secs(30);
/// In a test that starts itself again: what the child does, and in which folder.
const CHILD: (&str, &str) = ("STORE_TEST_CHILD", "STORE_TEST_FOLDER");
/// The owner of nothing.
const NOBODY: u32 = 65_534;

fn clock() -> Option<UnixTime> {
    Some(UnixTime::from_secs(1_767_225_600))
}

/// A store and what it answers.
struct Kept {
    store: Option<Store>,
    answers: Receiver<Answer>,
    batch: u64,
}

impl Kept {
    fn start(folder: &Path) -> Self {
        let (told, answers) = channel();
        let store = Store::start(folder.to_owned(), clock, move |answer| drop(told.send(answer))).unwrap();
        Self { store: Some(store), answers, batch: 0 }
    }

    fn ask(&self, request: Request) -> Answer {
        let at_once = self.store.as_ref().unwrap().ask(request);
        at_once.unwrap_or_else(|| self.answers.recv_timeout(BOUND).unwrap())
    }

    /// What is there, what was moved aside, and why nothing can be written.
    fn load(&self) -> (Contents, Option<String>, Option<String>) {
        match self.ask(Request::Load) {
            Answer::Loaded { contents, moved_aside, unwritable } => (contents, moved_aside, unwritable),
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, writes: Vec<Write>) -> Answer {
        self.batch += 1;
        self.ask(Request::Write { batch: self.batch, writes })
    }

    fn commit(&mut self, writes: Vec<Write>) {
        assert_eq!(self.write(writes), Answer::Committed { batch: self.batch });
    }

    /// Ends as the service does: the thread has closed the database when nobody holds the answers' other end.
    fn stop(mut self) {
        self.store = None;
        while self.answers.recv_timeout(BOUND).is_ok() {}
    }
}

fn instance(id: u16, key: &str) -> Instance {
    Instance {
        object: 3303,
        id,
        key: vec!["z1".to_owned(), key.to_owned()],
        sources: vec!["rooms/+/+ 0,1".to_owned()],
        first_seen: Some(Day(20_500)),
        last_seen: None,
    }
}

fn put(id: u16, key: &str) -> Write {
    Write::Instance(instance(id, key))
}

fn modem() -> Modem {
    Modem { model: Some("BG95-M3".into()), imei: Some("866425031234567".into()), ..Modem::default() }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A folder with a database of two hundred instances, closed.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(folder.path());
    kept.load();
    kept.commit((0..200).map(|id| put(id, &format!("sensor {id}"))).collect());
    kept.stop();
    folder
}

#[test]
fn what_was_committed_is_there_in_the_next_run_and_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep").join("state");
    let mut kept = Kept::start(&state);
    assert_eq!(kept.load(), (Contents::default(), None, None));
    kept.commit(vec![put(0, "a"), put(1, "b"), Write::Modem(modem())]);
    kept.commit(vec![put(2, "c"), Write::Forget { object: 3303, id: 1 }, put(0, "a")]);
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    assert!(names(&state).iter().all(|name| mode(&state.join(name)) == 0o600));
    kept.stop();
    assert_eq!(names(&state), [FILE], "a tidy end leaves one file");
    let kept = Kept::start(&state);
    let expected = Contents { instances: vec![instance(0, "a"), instance(2, "c")], modem: Some(modem()) };
    assert_eq!(kept.load(), (expected, None, None));
}

#[test]
fn an_id_and_a_key_have_one_row_whatever_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(folder.path());
    kept.load();
    kept.commit(vec![put(0, "a"), put(1, "b")]);
    // The key of 0 moves to 1, whose own key is gone with that.
    kept.commit(vec![put(1, "a")]);
    assert_eq!(kept.load().0.instances, [instance(1, "a")]);
}

#[test]
fn what_is_no_database_of_ours_is_moved_aside_and_a_new_one_begun() {
    let foreign = |sql: &'static str| {
        move |path: &Path| {
            fs::remove_file(path).unwrap();
            rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        }
    };
    let overwrite = |path: &Path, from: usize, octet: u8| {
        let mut octets = fs::read(path).unwrap();
        octets[from..].fill(octet);
        fs::write(path, octets).unwrap();
    };
    type Damage<'a> = (&'a str, &'a str, Box<dyn Fn(&Path)>);
    let damages: [Damage<'_>; 7] = [
        ("zero-filled", "corrupt", Box::new(move |path| overwrite(path, 0, 0))),
        ("a page of garbage", "corrupt", Box::new(move |path| overwrite(path, 4096, 0xa5))),
        ("text", "corrupt", Box::new(|path| fs::write(path, "not a database\n".repeat(500)).unwrap())),
        (
            "a cut file",
            "corrupt",
            Box::new(|path| {
                fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap();
            }),
        ),
        ("another program's", "corrupt", Box::new(foreign("CREATE TABLE others (a)"))),
        ("a table too few", "corrupt", Box::new(foreign("CREATE TABLE x (a); PRAGMA user_version = 1"))),
        ("a newer schema", "newer", Box::new(foreign("CREATE TABLE x (a); PRAGMA user_version = 2"))),
    ];
    for (what, kind, damage) in damages {
        let folder = filled();
        damage(&folder.path().join(FILE));
        let mut kept = Kept::start(folder.path());
        let (contents, moved_aside, unwritable) = kept.load();
        let moved_aside =
            moved_aside.unwrap_or_else(|| panic!("{what}: not moved aside, {contents:?}, {unwritable:?}"));
        let name = format!("{FILE}.{kind}-20260101-000000");
        assert!(moved_aside.contains(&name), "{what}: {moved_aside}");
        assert_eq!((contents, unwritable), (Contents::default(), None), "{what}");
        kept.commit(vec![put(0, "new")]);
        kept.stop();
        assert_eq!(names(folder.path()), [FILE.to_owned(), name], "{what}");
        assert_eq!(Kept::start(folder.path()).load().0.instances.len(), 1, "{what}");
    }
}

#[test]
fn an_empty_file_is_a_new_database() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), "").unwrap();
    let mut kept = Kept::start(folder.path());
    assert_eq!(kept.load(), (Contents::default(), None, None));
    kept.commit(vec![put(0, "a")]);
    assert_eq!(mode(&folder.path().join(FILE)), 0o600);
}

#[test]
fn rows_that_make_no_sense_are_left_out() {
    let folder = filled();
    let path = folder.path().join(FILE);
    let sql = "UPDATE instances SET key = 'not JSON' WHERE id = 3; UPDATE instances SET last_seen = -5 WHERE id = 4;
               UPDATE instances SET sources = x'00ff' WHERE id = 5; UPDATE instances SET id = 70000 WHERE id = 6;";
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let (contents, moved_aside, unwritable) = Kept::start(folder.path()).load();
    assert_eq!((contents.instances.len(), moved_aside, unwritable), (196, None, None));
}

#[test]
fn a_second_process_on_the_folder_is_told_and_gets_its_turn_when_the_first_is_gone() {
    let folder = filled();
    let first = Kept::start(folder.path());
    first.load();
    let mut second = Kept::start(folder.path());
    let unwritable = second.load().2.unwrap();
    assert!(unwritable.contains("another process uses it"), "{unwritable}");
    let refused = second.write(vec![put(0, "x")]);
    assert!(matches!(refused, Answer::Failed { emptied: false, .. }), "{refused:?}");
    first.stop();
    second.commit(vec![put(0, "x")]);
}

#[test]
fn damage_found_in_a_running_service_is_told_as_an_empty_disk() {
    let folder = filled();
    let first = Kept::start(folder.path());
    first.load();
    let mut second = Kept::start(folder.path());
    second.load();
    first.stop();
    fs::write(folder.path().join(FILE), [0; 8192]).unwrap();
    let told = second.write(vec![put(0, "x")]);
    assert!(matches!(told, Answer::Failed { emptied: true, .. }), "{told:?}");
    second.commit(vec![put(0, "x")]);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_the_store_goes_on_asking() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let state = folder.path().join("file").join("state");
    let mut kept = Kept::start(&state);
    let (contents, moved_aside, unwritable) = kept.load();
    assert_eq!((contents, moved_aside), (Contents::default(), None));
    let unwritable = unwritable.unwrap();
    assert!(unwritable.starts_with(state.to_str().unwrap()), "{unwritable}");
    assert!(matches!(kept.write(vec![put(0, "a")]), Answer::Failed { emptied: false, .. }));
    fs::remove_file(folder.path().join("file")).unwrap();
    kept.commit(vec![put(0, "a")]);
}

// ---- in a process of its own

/// What a child of this test process does with its folder; nothing in a process that nobody started for it.
#[test]
#[ignore = "other tests start it"]
fn child() {
    let Ok(task) = std::env::var(CHILD.0) else { return };
    let folder = PathBuf::from(std::env::var_os(CHILD.1).unwrap());
    let mut kept = Kept::start(&folder);
    let (contents, moved_aside, unwritable) = kept.load();
    say(&format!(
        "loaded {} {} {}",
        contents.instances.len(),
        moved_aside.is_some(),
        unwritable.unwrap_or_default()
    ));
    match task.as_str() {
        "read" => {}
        // Until it is ended: first small batches, and long ones where the disk is to run full.
        task => {
            for batch in 0_u16.. {
                let filler = if task == "fill" { "x".repeat(2000) } else { String::new() };
                let batches = (0..10).map(|n| put(batch % 6000 * 10 + n, &format!("{batch} {n} {filler}")));
                match kept.write(batches.collect()) {
                    Answer::Committed { .. } => say(&format!("committed {batch}")),
                    Answer::Failed { reason, .. } => {
                        say(&format!("failed {batch} {reason}"));
                        // The parent makes room, and then says so.
                        std::io::stdin().read_line(&mut String::new()).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

fn say(line: &str) {
    println!("child: {line}");
    std::io::stdout().flush().unwrap();
}

/// This test program once more, as the child of a test; killed when the test ends.
struct InProcess {
    child: Child,
    lines: Receiver<String>,
}

impl InProcess {
    fn start(mut launcher: Command, task: &str, folder: &Path) -> Self {
        launcher.args([
            std::env::current_exe().unwrap().to_str().unwrap(),
            "--ignored",
            "--exact",
            "child",
            "--nocapture",
        ]);
        launcher.env(CHILD.0, task).env(CHILD.1, folder);
        let mut child = launcher.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || {
            // The harness's own words may stand before the first of them on the line.
            let ours = |line: String| line.split_once("child: ").map(|(_, line)| line.to_owned());
            output.lines().map_while(Result::ok).filter_map(ours).try_for_each(|line| told.send(line))
        });
        Self { child, lines }
    }

    /// The next line that begins with this: what follows.
    fn wait_for(&self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(BOUND).unwrap_or_else(|_| panic!("no line {start:?}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs what follows on the command line as it is.
fn plain() -> Command {
    Command::new("env")
}

#[test]
fn after_a_kill_between_or_within_commits_every_committed_batch_is_there_and_no_half_one() {
    let folder = tempfile::tempdir().unwrap();
    for batches in [1, 3, 25, 60] {
        let mut child = InProcess::start(plain(), "write", folder.path());
        assert!(child.wait_for("loaded").contains("false"), "nothing is damaged");
        let mut last = 0;
        for _ in 0..batches {
            last = child.wait_for("committed").parse::<usize>().unwrap();
        }
        child.child.kill().unwrap();
        child.child.wait().unwrap();
        let kept = Kept::start(folder.path());
        let (contents, moved_aside, unwritable) = kept.load();
        assert_eq!((moved_aside, unwritable), (None, None));
        assert!(contents.instances.len() >= (last + 1) * 10);
        assert_eq!(contents.instances.len() % 10, 0, "a batch is there as a whole or not at all");
        kept.stop();
    }
}

#[test]
fn a_full_disk_is_told_and_what_comes_after_there_is_room_again_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    // Past its file size limit a write fails as on a full disk, once the signal is ignored; the soft limit can be raised.
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 512; exec \"$@\"", "bash"]);
    let mut child = InProcess::start(shell, "fill", folder.path());
    let failed = child.wait_for("failed");
    let reason = failed.split_once(' ').unwrap().1;
    assert!(reason.contains(FILE), "{reason}");
    let raised = Command::new("prlimit")
        .args(["--pid", &child.child.id().to_string(), "--fsize=unlimited:"])
        .status()
        .unwrap();
    assert!(raised.success());
    child.child.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    let later: usize = child.wait_for("committed").parse().unwrap();
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    let (contents, moved_aside, unwritable) = Kept::start(folder.path()).load();
    assert_eq!((moved_aside, unwritable), (None, None), "a full disk damages nothing");
    // All but the batch that failed.
    assert!(contents.instances.len() >= later * 10, "{} of {later} batches", contents.instances.len());
}

#[test]
fn a_disk_that_is_full_at_the_start_still_tells_what_it_has() {
    let folder = filled();
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 0; exec \"$@\"", "bash"]);
    let child = InProcess::start(shell, "fill", folder.path());
    assert!(child.wait_for("loaded").starts_with("200 false"), "what was kept is read");
    child.wait_for("failed 0");
}

#[test]
fn a_folder_that_is_read_only_still_tells_what_it_has() {
    let folder = filled();
    let file = folder.path().join(FILE);
    // Root may write anywhere: where that is us, the child is nobody.
    let launcher = if has_root() {
        chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let mut nobody = Command::new("setpriv");
        nobody.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
        nobody
    } else {
        plain()
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let child = InProcess::start(launcher, "read", folder.path());
    let loaded = child.wait_for("loaded");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(loaded.starts_with("200 false") && loaded.contains(FILE), "{loaded}");
}

/// Whoever owns this process may write where nobody may.
fn has_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

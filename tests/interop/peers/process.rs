//! A program whose lines a test waits for. Every wait is bounded, and a wait in vain shows all that the program said.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a program may take to be ready, or to end when it was told to.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a program that is no longer needed may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// A running program. Dropping it ends it.
pub struct Process {
    name: String,
    id: u32,
    stdin: Option<ChildStdin>,
    story: Arc<Story>,
}

/// What has happened so far: filled by threads, waited for by the test.
#[derive(Default)]
struct Story {
    told: Mutex<Told>,
    news: Condvar,
}

#[derive(Default)]
struct Told {
    /// Lines of stdout and stderr, in the order in which they came.
    lines: Vec<String>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program; `name` is for messages.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let story = Arc::new(Story::default());
        let readers = [
            child.stdout.take().map(|output| read(output, Arc::clone(&story))),
            child.stderr.take().map(|output| read(output, Arc::clone(&story))),
        ];
        let process = Self {
            name: name.to_owned(),
            id: child.id(),
            stdin: child.stdin.take(),
            story: Arc::clone(&story),
        };
        thread::spawn(move || reap(child, readers, &story));
        process
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many lines there are so far: what comes later has this index or a higher one.
    pub fn mark(&self) -> usize {
        self.story.told().lines.len()
    }

    /// The lines from `mark` on, as far as there are any.
    pub fn lines_since(&self, mark: usize) -> Vec<String> {
        self.story.told().lines.iter().skip(mark).cloned().collect()
    }

    /// The first line from `mark` on for which `take` gives something; fails the test if there is none in time.
    pub fn wait_for<T>(
        &self,
        what: &str,
        mark: usize,
        limit: Duration,
        take: impl Fn(&str) -> Option<T>,
    ) -> T {
        self.hear(mark, limit, take).unwrap_or_else(|| {
            let told = self.story.told();
            let why = told
                .ended
                .map_or(format!("nothing within {limit:?}"), |status| format!("it ended: {status}"));
            panic!("{} did not tell of {what}: {why}. It said:\n{}", self.name, told.lines.join("\n"))
        })
    }

    /// As [`Process::wait_for`], but it may be that no such line comes.
    pub fn hear<T>(&self, mark: usize, limit: Duration, take: impl Fn(&str) -> Option<T>) -> Option<T> {
        let find = |told: &Told| told.lines.iter().skip(mark).find_map(|line| take(line));
        find(&self.story.wait(limit, |told| find(told).is_some() || told.ended.is_some()))
    }

    /// Waits for a line that contains this.
    pub fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(text, 0, PATIENCE, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Writes one line to the program's input.
    pub fn tell(&mut self, line: &str) {
        let input = self.stdin.as_mut().expect("input is open while the program is used");
        input.write_all(format!("{line}\n").as_bytes()).expect("the program reads its input");
    }

    /// Sends a signal by its name (`TERM`, `INT`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal reached {}", self.name);
    }

    /// Waits until the program has ended by itself.
    pub fn wait_for_end(&self, limit: Duration) -> ExitStatus {
        let told = self.story.wait(limit, |told| told.ended.is_some());
        told.ended.unwrap_or_else(|| {
            panic!("{} did not end within {limit:?}. It said:\n{}", self.name, told.lines.join("\n"))
        })
    }

    /// Runs the program to its end and gives its lines; it must succeed.
    pub fn finish(self) -> Vec<String> {
        let status = self.wait_for_end(PATIENCE);
        let lines = self.story.told().lines.clone();
        assert!(status.success(), "{} failed ({status}):\n{}", self.name, lines.join("\n"));
        lines
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // TERM first: tshark takes its dumpcap with it then, and would leave it behind otherwise.
        for (name, patience) in [("TERM", GRACE), ("KILL", PATIENCE)] {
            if self.story.told().ended.is_none() {
                // Already gone is as good.
                let _ = Command::new("kill")
                    .args(["-s", name, &self.id.to_string()])
                    .stderr(Stdio::null())
                    .status();
                drop(self.story.wait(patience, |told| told.ended.is_some()));
            }
        }
        if thread::panicking() {
            // Under the test's own message, what each of its programs last said.
            eprintln!("--- {} said:\n{}", self.name, self.story.told().lines.join("\n"));
        }
    }
}

impl Story {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, limit: Duration, done: impl Fn(&Told) -> bool) -> MutexGuard<'_, Told> {
        let waited = self.news.wait_timeout_while(self.told(), limit, |told| !done(told));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told());
        self.news.notify_all();
    }
}

fn read(output: impl Read + Send + 'static, story: Arc<Story>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            story.change(|told| told.lines.push(line));
        }
    })
}

/// Waits for the end: the last lines are there before the status is.
fn reap(mut child: Child, readers: [Option<thread::JoinHandle<()>>; 2], story: &Story) {
    let status = child.wait().expect("a child can be waited for");
    for reader in readers.into_iter().flatten() {
        reader.join().expect("a reader does not panic");
    }
    story.change(|told| told.ended = Some(status));
}

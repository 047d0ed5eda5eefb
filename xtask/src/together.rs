//! Checks that do not wait for each other, several at a time. What each prints stays together.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcomes::{LastTime, Outcome, Tests};
use crate::stages::target_directory;

/// What a job does, given where it prints.
type Work = Box<dyn FnOnce(&mut Log) -> Result<Tests, String> + Send>;

/// One of the checks.
pub(crate) struct Job {
    pub(crate) name: String,
    work: Work,
}

impl Job {
    pub(crate) fn new(
        name: impl Into<String>,
        work: impl FnOnce(&mut Log) -> Result<Tests, String> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            work: Box::new(work),
        }
    }

    /// A job that runs a program to its end, and passes if that succeeds.
    pub(crate) fn command(name: impl Into<String>, mut command: Command) -> Self {
        Self::new(name, move |log| log.run(&mut command).map(Tests::of_one))
    }
}

/// Where a job prints: a file, which is shown when the job is over.
pub(crate) struct Log {
    path: PathBuf,
    pub(crate) file: File,
}

impl Log {
    pub(crate) fn create(name: &str) -> Result<Self, String> {
        let folder = target_directory()?.join("check").join("logs");
        let path = folder.join(format!("{}.log", name.replace([' ', '/'], "-")));
        let file = fs::create_dir_all(&folder).and_then(|()| File::create(&path));
        let file = file.map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { path, file })
    }

    /// A handle for the output of a program.
    pub(crate) fn stdio(&self) -> Result<Stdio, String> {
        let file = self.file.try_clone().map_err(|e| e.to_string())?;
        Ok(file.into())
    }

    /// What was printed so far.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<(), String> {
        writeln!(self.file, "{text}").map_err(|e| format!("{}: {e}", self.path.display()))
    }

    /// Runs a program, and says whether it succeeded.
    fn run(&mut self, command: &mut Command) -> Result<bool, String> {
        let program = PathBuf::from(command.get_program());
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let arguments = command.get_args().map(|word| word.to_string_lossy());
        let words: Vec<_> = arguments.collect();
        self.line(&format!("$ {name} {}", words.join(" ")))?;
        let command = command.stdin(Stdio::null());
        let status = command.stdout(self.stdio()?).stderr(self.stdio()?).status();
        let status = status.map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
        Ok(status.success())
    }
}

/// Jobs that wait for somebody to do them. There may come more as long as it is open.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// How long each took the last time.
    last_time: LastTime,
}

struct State {
    waiting: Vec<Job>,
    open: bool,
    done: Vec<Outcome>,
}

impl Queue {
    /// Adds jobs. What took long the last time is begun first, and what nobody knows before the rest.
    pub(crate) fn add(&self, jobs: Vec<Job>) {
        let mut state = self.state();
        state.waiting.extend(jobs);
        longest_last(&mut state.waiting, |name| self.last_time.of(name));
        self.changed.notify_all();
    }

    /// What is begun is ended; nothing else is begun.
    pub(crate) fn clear(&self) {
        self.state().waiting.clear();
    }

    fn close(&self) {
        self.state().open = false;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            match state.waiting.pop() {
                None if state.open => {
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                job => return job,
            }
        }
    }

    /// Does jobs until there are none, and prints what each printed as soon as it is over.
    fn work_off(&self) {
        while let Some(job) = self.next() {
            let (outcome, text) = done(job);
            let mut state = self.state();
            let left = state.waiting.len();
            // In one piece: others print as well.
            println!(
                "\n--- {}\n{}\n--- {outcome} ({left} wait)",
                outcome.name,
                text.trim_end()
            );
            state.done.push(outcome);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `first`, which adds jobs, while the jobs run; at most `most` things happen at a time. Returns what came of the jobs.
pub(crate) fn run(most: usize, last_time: LastTime, first: impl FnOnce(&Queue)) -> Vec<Outcome> {
    let queue = Queue {
        state: Mutex::new(State {
            waiting: Vec::new(),
            open: true,
            done: Vec::new(),
        }),
        changed: Condvar::new(),
        last_time,
    };
    std::thread::scope(|scope| {
        for _ in 1..most {
            scope.spawn(|| queue.work_off());
        }
        first(&queue);
        queue.close();
        queue.work_off();
    });
    let state = queue.state.into_inner();
    state.unwrap_or_else(PoisonError::into_inner).done
}

/// Does what the job does: its outcome, and what it printed.
fn done(job: Job) -> (Outcome, String) {
    let Job { name, work } = job;
    let start = Instant::now();
    let mut text = String::new();
    let tests = Log::create(&name).and_then(|mut log| {
        let tests = work(&mut log);
        text = log.text();
        tests
    });
    let took = start.elapsed();
    let tests = tests.unwrap_or_else(|why| {
        text.push_str(&why);
        Tests::of_one(false)
    });
    (Outcome { name, took, tests }, text)
}

/// Jobs in the order in which they should end a list that is worked off from its end.
fn longest_last(jobs: &mut [Job], known: impl Fn(&str) -> Option<Duration>) {
    jobs.sort_by_cached_key(|job| known(&job.name).unwrap_or(Duration::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_and_told() {
        let jobs = || {
            vec![
                Job::new("good of tests", |log: &mut Log| {
                    log.line("well")?;
                    Ok(Tests::of_one(true))
                }),
                Job::new("bad of tests", |_: &mut Log| Err("no luck".into())),
            ]
        };
        for most in [1, 3] {
            let mut outcomes = run(most, LastTime::default(), |queue| queue.add(jobs()));
            outcomes.sort_by(|a, b| a.name.cmp(&b.name));
            let passed: Vec<bool> = outcomes.iter().map(Outcome::passed).collect();
            assert_eq!(passed, [false, true]);
        }
    }

    #[test]
    fn the_longest_begins() {
        let job = |name: &str| Job::new(name, |_: &mut Log| Ok(Tests::default()));
        let mut jobs = vec![job("short"), job("long"), job("new")];
        longest_last(&mut jobs, |name| match name {
            "short" => Some(Duration::from_secs(1)),
            "long" => Some(Duration::from_secs(9)),
            _ => None,
        });
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["short", "long", "new"]);
    }
}

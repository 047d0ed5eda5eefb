//! Checks that do not wait for each other, several at a time. What each prints stays together.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::outcomes::{Outcome, Tests};
use crate::stages::target_directory;

/// What a job does, given where it prints.
type Work<'w> = Box<dyn FnOnce(&mut Log) -> Result<Tests, String> + Send + 'w>;

/// One of the checks.
pub(crate) struct Job<'w> {
    pub(crate) name: String,
    work: Work<'w>,
}

impl<'w> Job<'w> {
    pub(crate) fn new(
        name: impl Into<String>,
        work: impl FnOnce(&mut Log) -> Result<Tests, String> + Send + 'w,
    ) -> Self {
        Self {
            name: name.into(),
            work: Box::new(work),
        }
    }

    /// A job that runs a program to its end, and passes if that succeeds.
    pub(crate) fn command(name: impl Into<String>, mut command: Command) -> Job<'static> {
        Job::new(name, move |log| log.run(&mut command).map(Tests::of_one))
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

/// Runs the jobs in this order, at most `most` at a time, and prints what each printed as soon as it is over.
pub(crate) fn run(jobs: Vec<Job<'_>>, most: usize) -> Vec<Outcome> {
    let total = jobs.len();
    let waiting = Mutex::new(jobs.into_iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..most.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .next();
                    let Some(job) = next else { break };
                    let (outcome, text) = work_off(job);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    println!("\n--- {}/{total} {}", done.len() + 1, outcome.name);
                    println!("{}", text.trim_end());
                    println!("--- {outcome}");
                    done.push(outcome);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Does what the job does: its outcome, and what it printed.
fn work_off(job: Job<'_>) -> (Outcome, String) {
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

/// Jobs in the order in which they should begin: what took long the last time first, and what nobody knows before the rest.
pub(crate) fn longest_first(jobs: &mut [Job<'_>], known: impl Fn(&str) -> Option<Duration>) {
    jobs.sort_by_cached_key(|job| std::cmp::Reverse(known(&job.name).unwrap_or(Duration::MAX)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_and_told() {
        let jobs = vec![
            Job::new("good of tests", |log: &mut Log| {
                log.line("well")?;
                Ok(Tests::of_one(true))
            }),
            Job::new("bad of tests", |_: &mut Log| Err("no luck".into())),
        ];
        let mut outcomes = run(jobs, 3);
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        let passed: Vec<bool> = outcomes.iter().map(Outcome::passed).collect();
        assert_eq!(passed, [false, true]);
    }

    #[test]
    fn the_longest_begins() {
        let job = |name: &str| Job::new(name, |_: &mut Log| Ok(Tests::default()));
        let mut jobs = vec![job("short"), job("long"), job("new")];
        longest_first(&mut jobs, |name| match name {
            "short" => Some(Duration::from_secs(1)),
            "long" => Some(Duration::from_secs(9)),
            _ => None,
        });
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["new", "long", "short"]);
    }
}

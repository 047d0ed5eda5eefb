//! Blocks that are typed into a shell.

use std::env;
use std::fmt::Write;
use std::path::Path;

use super::blocks::Block;
use crate::support::{Folder, STORE, metaxy};

/// One shell, into which blocks are typed one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) name: &'static str,
    /// What is there before the first block: a command.
    pub(super) before: &'static str,
    /// What holds after the last block: a command that succeeds.
    pub(super) after: &'static str,
    /// How the commands begin that are not run, and why they are not.
    pub(super) left_out: &'static [(&'static str, &'static str)],
}

/// What happens in a session.
pub(super) enum Step<'a> {
    /// The block is typed.
    Typed(&'a Block),
    /// The block becomes this file.
    Saved(&'a Block, &'a str),
}

/// One command, and what it is to print. None: that is not shown.
struct Command<'a> {
    typed: String,
    shown: Option<Vec<&'a str>>,
}

/// Stands before the exit code of each command, and after it. No command prints it.
const MARK: char = '\u{1e}';

impl Session {
    /// Does all of it in a new folder. Every command succeeds, and prints what the block shows. Gives what was printed.
    pub(super) fn run(&self, steps: &[Step<'_>]) -> String {
        let mut commands = vec![Command::unseen(self.before)];
        for step in steps {
            match step {
                Step::Typed(block) => commands.extend(self.commands(block)),
                Step::Saved(block, path) => {
                    let save = format!("cat > {path} <<'END'\n{}END", block.text);
                    commands.push(Command::unseen(&save));
                }
            }
        }
        commands.push(Command::unseen(self.after));

        let mut script = "exec 2>&1\n".to_owned();
        for command in &commands {
            writeln!(script, "{}\nprintf '{MARK}%s{MARK}' \"$?\"", command.typed).unwrap();
        }
        let all = self.printed(&script);
        let mut printed = all.split(MARK);
        for command in &commands {
            let (out, code) = (printed.next(), printed.next());
            let about = format!("{}: `{}` printed {out:?}", self.name, command.typed);
            assert_eq!(code, Some("0"), "{about}");
            let out = out.unwrap_or_default();
            if let Some(shown) = &command.shown {
                let out: Vec<&str> = out.lines().map(str::trim_end).collect();
                assert_eq!(out, *shown, "{about}");
            }
        }
        all
    }

    /// The commands of a block. If it shows what some of them print, it shows that of all.
    fn commands<'a>(&self, block: &'a Block) -> Vec<Command<'a>> {
        let mut commands: Vec<Command<'a>> = Vec::new();
        let mut goes_on = false;
        for line in block.text.lines() {
            let typed = line.strip_prefix("$ ");
            match (commands.last_mut(), typed) {
                (Some(command), _) if goes_on => {
                    command.typed.push('\n');
                    command.typed += line;
                }
                (_, Some(typed)) => commands.push(Command {
                    typed: typed.to_owned(),
                    shown: Some(Vec::new()),
                }),
                (Some(command), None) => {
                    command.shown.get_or_insert_default().push(line.trim_end());
                }
                (None, None) => panic!("{block} does not start with a command"),
            }
            goes_on = line.ends_with('\\') && (goes_on || typed.is_some());
        }
        if commands
            .iter()
            .all(|command| command.shown.as_ref().is_some_and(Vec::is_empty))
        {
            for command in &mut commands {
                command.shown = None;
            }
        }
        commands.retain(|command| !self.leaves_out(&command.typed));
        commands
    }

    fn leaves_out(&self, command: &str) -> bool {
        self.left_out
            .iter()
            .any(|(start, _)| command.starts_with(start))
    }

    /// What a shell prints that has the built `metaxy` first on its path.
    fn printed(&self, script: &str) -> String {
        let folder = Folder::empty();
        folder.write("session.sh", script);
        for below in ["here", "tmp"] {
            std::fs::create_dir(folder.join(below)).unwrap();
        }
        let metaxy = metaxy();
        let metaxy = Path::new(&metaxy).parent().unwrap();
        let path = env::var_os("PATH").unwrap_or_default();
        let path = [metaxy.to_owned()]
            .into_iter()
            .chain(env::split_paths(&path));
        // Where stores are schemas, each shell has one of its own.
        let schema =
            (STORE == "postgres").then(|| ("METAXY_STORES__DEV__SCHEMA", folder.schema("session")));
        let output = folder
            .program("sh")
            .arg("../session.sh")
            .current_dir(folder.join("here"))
            .env("PATH", env::join_paths(path).unwrap())
            .env("TMPDIR", folder.join("tmp"))
            .envs(schema)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Command<'_> {
    fn unseen(typed: &str) -> Self {
        Self {
            typed: typed.to_owned(),
            shown: None,
        }
    }
}

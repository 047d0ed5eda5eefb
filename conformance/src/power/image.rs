//! Images of file systems, and where they are mounted.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::outcome::Stop;

/// A file that holds a file system.
#[derive(Debug)]
pub(super) struct Image(PathBuf);

/// A folder on which something is mounted, until it goes out of scope.
#[derive(Debug)]
pub(super) struct Mounted(PathBuf);

/// A file system in memory, of a size that can be changed.
#[derive(Debug)]
pub(super) struct Disk(Mounted);

/// Whether this machine mounts images.
///
/// # Errors
/// [`Stop::Missing`] with what is missing.
pub(super) fn is_possible() -> Result<(), Stop> {
    let missing = |what: String| Stop::Missing(format!("power cuts cannot be tried: {what}"));
    if !cfg!(target_os = "linux") {
        return Err(missing("this is not Linux".into()));
    }
    let folder = super::folder();
    let image = folder.path().join("image");
    let made = File::create(&image).and_then(|file| file.set_len(16 << 20));
    made.map_err(|error| missing(error.to_string()))?;
    make_file_system(&image).map_err(missing)?;
    Image(image)
        .try_mount(&folder.path().join("disk"))
        .map_err(missing)?;
    Ok(())
}

impl Image {
    /// An empty file system of so many bytes, in a file in `folder`.
    pub(super) fn new(folder: &Path, bytes: u64) -> Self {
        let path = folder.join("image");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        make_file_system(&path).unwrap();
        Self(path)
    }

    /// What is in it now, in a file of `folder`.
    pub(super) fn copy(&self, folder: &Path) -> Self {
        let path = folder.join("copy");
        let mut from = File::open(&self.0).unwrap();
        let mut to = File::create(&path).unwrap();
        to.set_len(from.metadata().unwrap().len()).unwrap();
        let mut block = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut block).unwrap();
            let Some(read) = block.get(..read).filter(|read| !read.is_empty()) else {
                break;
            };
            // It stays as empty as the image is.
            if read.iter().all(|byte| *byte == 0) {
                to.seek(SeekFrom::Current(read.len() as i64)).unwrap();
            } else {
                to.write_all(read).unwrap();
            }
        }
        Self(path)
    }

    /// Mounts it on the folder `at`.
    pub(super) fn mount(&self, at: &Path) -> Mounted {
        self.try_mount(at).unwrap()
    }

    /// Mounts it on the folder `at`, which is made: without commits of its own accord, as far as it lets us.
    ///
    /// # Errors
    /// What `mount` said.
    pub(super) fn try_mount(&self, at: &Path) -> Result<Mounted, String> {
        fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "ext4", "-o", "loop,commit=300"]);
        succeeds(command.arg(&self.0).arg(at))?;
        Ok(Mounted(at.to_owned()))
    }
}

fn make_file_system(image: &Path) -> Result<(), String> {
    // A small journal, and nothing written that is not needed.
    let options = [
        "-q",
        "-F",
        "-J",
        "size=4",
        "-E",
        "lazy_itable_init=1,lazy_journal_init=1",
    ];
    succeeds(Command::new("mkfs.ext4").args(options).arg(image))
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program}: {}", said.trim()))
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}

impl Mounted {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until nothing is under way to the device.
    pub(super) fn settles(&self) {
        let mut before = String::new();
        for _ in 0..100 {
            let now = self.statistics();
            if now == before {
                return;
            }
            before = now;
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What the kernel has counted of the device: reads, writes, and what is under way.
    fn statistics(&self) -> String {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let of_this = |line: &&str| {
            line.split(' ')
                .nth(1)
                .is_some_and(|at| Path::new(at) == self.0)
        };
        let device = mounts
            .lines()
            .find(of_this)
            .and_then(|line| line.split(' ').next());
        let name = device
            .and_then(|device| device.strip_prefix("/dev/"))
            .unwrap_or_default();
        fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap_or_default()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // At once, or as soon as nobody uses it any more. There is nothing to be done if that fails, too.
        let plain = succeeds(Command::new("umount").arg(&self.0));
        if plain.is_err() {
            let _ = succeeds(Command::new("umount").arg("-l").arg(&self.0));
        }
    }
}

impl Disk {
    /// Mounts one of so many bytes on the folder `at`, which is made.
    pub(super) fn in_memory(at: &Path, bytes: u64) -> Self {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={bytes}");
        succeeds(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(at),
        )
        .unwrap();
        Self(Mounted(at.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it so small that so many bytes are left.
    pub(super) fn leave(&self, bytes: u64) {
        let used = self.used();
        let size = format!("remount,size={}", used + bytes);
        succeeds(Command::new("mount").args(["-o", &size]).arg(self.path())).unwrap();
    }

    fn used(&self) -> u64 {
        let mut df = Command::new("df");
        let output = df
            .args(["--output=used", "-B1"])
            .arg(self.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .last()
            .and_then(|line| line.trim().parse().ok())
            .unwrap()
    }
}

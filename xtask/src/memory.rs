//! How much memory a process has had.

/// The most memory that a process has had so far, in MiB, by its number or `self`; `None` where the system does not say, and for a
/// process that has ended.
pub(crate) fn peak_mib(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

//! What a turn measured: the line of JSON that it prints, ours or that of `bench.py resolve`.

use metaxy_store::json::Json;

use super::text;

/// The steps that a resolve is split into: building the store, working out what to compute, waiting for the first rows, taking the
/// others and closing the store. They add up to the whole.
pub(super) const PHASES: [&str; 4] = ["open", "plan", "execute", "collect"];

/// What one or more turns of one contestant measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Measured {
    /// New, stale and orphaned rows.
    pub(super) counts: [u64; 3],
    /// The checksum over new and stale rows, in hexadecimal.
    pub(super) checksum: String,
    /// The seconds of each round.
    pub(super) seconds: Vec<f64>,
    /// The most memory of the process.
    pub(super) peak_mib: Option<f64>,
    /// The seconds of each round that each of [`PHASES`] took; empty where nobody asked.
    phases: [Vec<f64>; PHASES.len()],
}

impl Measured {
    /// Reads the line that a turn printed, which is the last of its output.
    pub(super) fn parse(output: &str) -> Result<Self, String> {
        let line = output.lines().rfind(|line| !line.trim().is_empty());
        let line = Json::parse(line.ok_or("it printed nothing")?).map_err(text)?;
        let member = |name: &str| {
            line.get(name)
                .ok_or_else(|| format!("its result has no {name:?}"))
        };
        let count = |name: &str| match member(name)? {
            Json::Int(digits) => digits.parse().map_err(|e| format!("{name}: {e}")),
            other => Err(format!("{name} is {}", other.kind())),
        };
        let mut measured = Self {
            counts: [count("new")?, count("stale")?, count("orphaned")?],
            checksum: member("checksum")?
                .as_str()
                .ok_or("its checksum is not text")?
                .to_owned(),
            seconds: numbers(member("seconds")?)?,
            peak_mib: line.get("peak_mib").and_then(number),
            phases: Default::default(),
        };
        if let Some(phases) = line.get("phases") {
            for (name, seconds) in PHASES.iter().zip(&mut measured.phases) {
                *seconds = numbers(phases.get(name).unwrap_or(&Json::Null))?;
            }
        }
        Ok(measured)
    }

    /// The form that [`parse`](Self::parse) reads.
    pub(super) fn to_json(&self) -> Json {
        let [new, stale, orphaned] = self.counts;
        let mut members = vec![
            ("new", Json::from(new)),
            ("stale", Json::from(stale)),
            ("orphaned", Json::from(orphaned)),
            ("checksum", Json::from(self.checksum.as_str())),
            ("seconds", floats(&self.seconds)),
            ("peak_mib", self.peak_mib.map(Json::Float).into()),
        ];
        if self.has_phases() {
            let phases = PHASES.iter().zip(&self.phases);
            let phases = phases.map(|(name, seconds)| (*name, floats(seconds)));
            members.push(("phases", Json::object(phases)));
        }
        Json::object(members)
    }

    /// Notes what the steps of a round took, in seconds.
    pub(super) fn add_steps(&mut self, steps: [f64; PHASES.len()]) {
        for (seconds, step) in self.phases.iter_mut().zip(steps) {
            seconds.push(step);
        }
    }

    /// Takes in another turn of the same work, which must have had the same outcome.
    pub(super) fn join(&mut self, other: Self) -> Result<(), String> {
        if (self.counts, &self.checksum) != (other.counts, &other.checksum) {
            return Err(format!(
                "two turns differ: {:?} with checksum {}, then {:?} with {}",
                self.counts, self.checksum, other.counts, other.checksum
            ));
        }
        self.seconds.extend(other.seconds);
        for (seconds, more) in self.phases.iter_mut().zip(other.phases) {
            seconds.extend(more);
        }
        Ok(())
    }

    /// Forgets what the first `rounds` took.
    pub(super) fn forget(&mut self, rounds: usize) {
        self.seconds.drain(..rounds.min(self.seconds.len()));
        for seconds in &mut self.phases {
            seconds.drain(..rounds.min(seconds.len()));
        }
    }

    /// The middle of the rounds, in seconds.
    pub(super) fn median(&self) -> f64 {
        median(&self.seconds)
    }

    pub(super) fn has_phases(&self) -> bool {
        self.phases.iter().all(|seconds| !seconds.is_empty())
    }

    /// The middle of each of [`PHASES`], in seconds.
    pub(super) fn phase_medians(&self) -> [f64; PHASES.len()] {
        std::array::from_fn(|i| median(&self.phases[i]))
    }
}

/// The middle value, or the mean of the two in the middle; of none, 0.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.as_slice() {
        [] => 0.0,
        many if many.len() % 2 == 1 => many[half],
        many => (many[half - 1] + many[half]) / 2.0,
    }
}

fn floats(values: &[f64]) -> Json {
    Json::Array(values.iter().copied().map(Json::Float).collect())
}

fn numbers(value: &Json) -> Result<Vec<f64>, String> {
    let values = value.as_array().ok_or("its times are not a list")?;
    let values = values.iter().map(number).collect::<Option<_>>();
    values.ok_or_else(|| "its times are not numbers".to_owned())
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Int(digits) => digits.parse().ok(),
        Json::Float(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = r#"{"new": 0, "stale": 197, "orphaned": 3, "checksum": "3fedad7a872b8fd5", "seconds": [1.1803, 0.6219, 1], "peak_mib": 291}"#;

    #[test]
    fn the_line_of_the_reference_is_read() {
        let measured = Measured::parse(&format!("a warning\n{REFERENCE}\n")).unwrap();
        assert_eq!(measured.counts, [0, 197, 3]);
        assert_eq!(measured.checksum, "3fedad7a872b8fd5");
        assert_eq!(measured.median(), 1.0);
        assert_eq!(measured.peak_mib, Some(291.0));
        assert!(!measured.has_phases());
    }

    #[test]
    fn our_line_comes_back() {
        let mut measured = Measured::parse(REFERENCE).unwrap();
        measured.add_steps([0.5, 0.25, 1.5, 2.0]);
        let again = Measured::parse(&measured.to_json().to_compact()).unwrap();
        assert_eq!(again, measured);
        assert_eq!(again.phase_medians(), [0.5, 0.25, 1.5, 2.0]);
    }

    #[test]
    fn turns_add_up_if_they_agree() {
        let mut measured = Measured::parse(REFERENCE).unwrap();
        let mut other = measured.clone();
        other.forget(2);
        measured.join(other.clone()).unwrap();
        assert_eq!(measured.seconds, [1.1803, 0.6219, 1.0, 1.0]);
        assert_eq!(measured.median(), 1.0);
        other.checksum = "0".into();
        assert!(measured.join(other).unwrap_err().contains("differ"));
    }

    #[test]
    fn output_that_is_no_result_is_refused() {
        assert!(Measured::parse("").is_err());
        let why = Measured::parse(r#"{"new": 1}"#).unwrap_err();
        assert_eq!(why, "its result has no \"stale\"");
    }
}

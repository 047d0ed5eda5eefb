//! The lines between two layers of a drawing of characters: which row each runs along.

/// The lines that leave one place, which share a row.
#[derive(Debug)]
pub(super) struct Wire {
    /// Whose they are.
    pub(super) owner: usize,
    /// The column that they come down in.
    pub(super) from: i64,
    /// The columns that they go down in.
    pub(super) to: Vec<i64>,
    /// The row, from the first one between the layers; `None` if all go straight down.
    pub(super) row: Option<i64>,
}

impl Wire {
    pub(super) fn new(owner: usize, from: i64, to: Vec<i64>) -> Self {
        Self {
            owner,
            from,
            to,
            row: None,
        }
    }

    pub(super) fn is_straight(&self) -> bool {
        self.to.iter().all(|column| *column == self.from)
    }

    /// The columns of the part along a row.
    pub(super) fn span(&self) -> (i64, i64) {
        let left = self.to.iter().copied().fold(self.from, i64::min);
        let right = self.to.iter().copied().fold(self.from, i64::max);
        (left, right)
    }
}

/// Gives each wire a row so that no two lie on each other: neither beside, in a row, nor above each other, in a column, as far
/// as that is possible. Returns how many rows it takes.
pub(super) fn route(wires: &mut [Wire]) -> i64 {
    let mut pending: Vec<usize> = (0..wires.len())
        .filter(|&wire| !wires[wire].is_straight())
        .collect();
    // A wire that comes down where another one goes down has to turn first.
    let turns_first = |first: &Wire, then: &Wire| then.to.contains(&first.from);
    let mut done: Vec<usize> = Vec::new();
    while !pending.is_empty() {
        let is_free = |&&then: &&usize| {
            let others = pending.iter().filter(|&&first| first != then);
            others
                .into_iter()
                .all(|&first| !turns_first(&wires[first], &wires[then]))
        };
        // In a ring one has to be the first.
        let next = pending.iter().find(is_free).copied().unwrap_or(pending[0]);
        pending.retain(|&wire| wire != next);
        let (left, right) = wires[next].span();
        let after = done
            .iter()
            .filter(|&&first| turns_first(&wires[first], &wires[next]));
        let mut row = after
            .filter_map(|&first| wires[first].row)
            .max()
            .map_or(0, |row| row + 1);
        let is_taken = |row: i64| {
            done.iter().any(|&other| {
                let (from, to) = wires[other].span();
                wires[other].row == Some(row) && from <= right + 1 && left <= to + 1
            })
        };
        while is_taken(row) {
            row += 1;
        }
        wires[next].row = Some(row);
        done.push(next);
    }
    let last = wires.iter().filter_map(|wire| wire.row).max();
    last.map_or(1, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(wires: &[(i64, &[i64])]) -> (Vec<Option<i64>>, i64) {
        let wires = wires.iter().enumerate();
        let mut wires: Vec<Wire> = wires
            .map(|(owner, (from, to))| Wire::new(owner, *from, to.to_vec()))
            .collect();
        let height = route(&mut wires);
        (wires.iter().map(|wire| wire.row).collect(), height)
    }

    #[test]
    fn wires_beside_each_other_share_a_row() {
        assert_eq!(rows(&[(5, &[5])]), (vec![None], 1));
        assert_eq!(
            rows(&[(5, &[2, 9]), (20, &[18])]),
            (vec![Some(0), Some(0)], 1)
        );
        assert_eq!(
            rows(&[(5, &[2, 9]), (20, &[10])]),
            (vec![Some(0), Some(1)], 2)
        );
    }

    #[test]
    fn a_wire_turns_before_another_comes_down_in_its_column() {
        // The first goes down where the second starts.
        assert_eq!(
            rows(&[(5, &[20]), (20, &[30])]),
            (vec![Some(1), Some(0)], 2)
        );
        // In a ring both cannot be right, and it ends all the same.
        let (rows, height) = rows(&[(5, &[20]), (20, &[5])]);
        assert_eq!((rows[0] == rows[1], height), (false, 2));
    }
}

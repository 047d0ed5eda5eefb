use super::*;

/// A number that looks random, and the same each time.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % (most + 1)
    }
}

fn spacing() -> Spacing {
    Spacing {
        nodes: 20,
        lines: 10,
        room: None,
        places: usize::MAX,
    }
}

fn random(seed: u64, nodes: usize, deps: usize) -> (Vec<i64>, Vec<(usize, usize)>) {
    let mut dice = Dice(seed);
    let sizes = (0..nodes)
        .map(|_| 31 + i64::try_from(dice.up_to(80)).unwrap())
        .collect();
    let mut edges = Vec::new();
    for to in 1..nodes {
        for _ in 0..dice.up_to(deps) {
            let edge = (to - 1 - dice.up_to((to - 1).min(25)), to);
            if !edges.contains(&edge) {
                edges.push(edge);
            }
        }
    }
    (sizes, edges)
}

/// What holds of every arrangement.
fn check(sizes: &[i64], edges: &[(usize, usize)], spacing: Spacing) -> Arrangement {
    let found = arrange(sizes, edges, spacing);
    let mut seen = vec![0; found.places.len()];
    for (number, layer) in found.layers.iter().enumerate() {
        assert!(!layer.is_empty(), "no layer is empty");
        for &place in layer {
            seen[place] += 1;
            assert_eq!(found.places[place].layer, number);
        }
        for pair in layer.windows(2) {
            let [left, right] = [pair[0], pair[1]].map(|place| found.places[place]);
            let gap = match left.is_line || right.is_line {
                true => spacing.lines,
                false => spacing.nodes,
            };
            assert!(
                left.start + left.size + gap <= right.start,
                "{left:?} {right:?}"
            );
        }
    }
    assert!(
        seen.iter().all(|seen| *seen == 1),
        "each place is in one layer"
    );
    for (node, size) in sizes.iter().enumerate() {
        let place = found.places[node];
        assert_eq!(
            (place.node, place.size, place.is_line),
            (node, *size, false)
        );
        assert!(place.start >= 0 && place.start + size <= found.width);
    }
    for (route, (from, to)) in found.routes.iter().zip(edges) {
        assert_eq!((route.first(), route.last()), (Some(from), Some(to)));
        for pair in route.windows(2) {
            let [above, below] = [pair[0], pair[1]].map(|place| found.places[place]);
            let straight_to_its_end = spacing.places < usize::MAX && route.len() == 2;
            assert!(
                above.layer + 1 == below.layer || straight_to_its_end && above.layer < below.layer
            );
        }
        let passed = &route[1..route.len() - 1];
        assert!(
            passed
                .iter()
                .all(|&place| found.places[place].is_line && found.places[place].node == *from)
        );
    }
    found
}

#[test]
fn nothing_overlaps_and_every_line_goes_down() {
    for seed in 0..120 {
        let nodes = 1 + usize::try_from(seed).unwrap() % 40;
        let (sizes, edges) = random(seed, nodes, 1 + nodes % 4);
        check(&sizes, &edges, spacing());
        let room = Spacing {
            room: Some(200),
            ..spacing()
        };
        let found = check(&sizes, &edges, room);
        for layer in &found.layers {
            let nodes = layer.iter().filter(|&&place| !found.places[place].is_line);
            let used: i64 = nodes.map(|&place| found.places[place].size + 20).sum();
            assert!(used <= 220, "{used}");
        }
    }
}

#[test]
fn a_large_graph_is_arranged() {
    let (sizes, edges) = random(7, 500, 3);
    let once = check(&sizes, &edges, spacing());
    let twice = arrange(&sizes, &edges, spacing());
    assert_eq!(once.layers, twice.layers, "the same each time");
}

#[test]
fn places_of_lines_do_not_grow_with_the_square() {
    // Each depends on the one before, and on one far away: places in all layers would be a quarter of a million.
    let nodes = 1_000;
    let far = (2..nodes).map(|to| (to / 2, to));
    let edges: Vec<(usize, usize)> = (1..nodes).map(|to| (to - 1, to)).chain(far).collect();
    let few = Spacing {
        places: 2_000,
        ..spacing()
    };
    let found = check(&vec![30; nodes], &edges, few);
    assert!(
        found.places.len() <= nodes + 2_000,
        "{}",
        found.places.len()
    );
    assert!(
        found.routes.iter().any(|route| route.len() > 2),
        "short ones keep their places"
    );
}

#[test]
fn nothing_and_single_nodes_are_arranged() {
    assert_eq!(arrange(&[], &[], spacing()).width, 0);
    let one = check(&[50], &[], spacing());
    assert_eq!((one.width, one.places[0].start), (50, 0));
    let two = check(&[50, 70], &[], spacing());
    assert_eq!(two.width, 140);
}

#[test]
fn a_chain_is_straight_and_so_is_what_passes_it() {
    let found = check(
        &[40, 60, 20, 40],
        &[(0, 1), (1, 2), (2, 3), (0, 3)],
        spacing(),
    );
    let middle = |node: usize| found.places[node].middle;
    assert_eq!(middle(1), middle(2));
    let long = &found.routes[3];
    assert_eq!(long.len(), 4);
    let passing: Vec<i64> = long[1..3]
        .iter()
        .map(|&place| found.places[place].start)
        .collect();
    assert_eq!(passing[0], passing[1]);
    // Both ends stand in the middle between the two ways.
    assert_eq!(middle(0), middle(3));
    let ways = [middle(1), passing[0]];
    assert!(ways.iter().min() < Some(&middle(0)) && Some(&middle(0)) < ways.iter().max());
}

#[test]
fn lines_that_need_not_cross_do_not() {
    // Two trees whose nodes come in turns, and a ladder given upside down.
    let trees = [
        (0, 2),
        (1, 3),
        (0, 4),
        (1, 5),
        (2, 6),
        (3, 7),
        (4, 8),
        (5, 9),
    ];
    let ladder = [(0, 5), (1, 4), (2, 3), (3, 6), (4, 7), (5, 8), (6, 9)];
    for edges in [&trees[..], &ladder[..]] {
        let (mut net, _) = Net::new(&[30; 10], edges, spacing());
        order::reduce_crossings(&mut net);
        assert_eq!(order::crossings(&net), 0, "{edges:?}");
    }
}

#[test]
fn crossings_are_counted() {
    let edges = [(0, 3), (0, 4), (1, 3), (2, 3)];
    let (mut net, _) = Net::new(&[30; 5], &edges, spacing());
    net.layers = vec![vec![0, 1, 2], vec![3, 4]];
    assert_eq!(order::crossings(&net), 2);
    net.layers = vec![vec![0, 1, 2], vec![4, 3]];
    assert_eq!(order::crossings(&net), 0);
}

#[test]
fn lines_of_one_node_run_together() {
    // 0 is needed in every layer of the chain 0 1 2 3.
    let edges = [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)];
    let found = check(&[30; 4], &edges, spacing());
    assert_eq!(found.places.len(), 4 + 2);
    assert_eq!(found.routes[3][1], found.routes[4][1]);
}

#[test]
fn parts_are_told_apart_and_put_on_shelves() {
    let parts = components(6, &[(0, 3), (3, 4), (1, 5)]);
    assert_eq!(parts, [vec![0, 3, 4], vec![1, 5], vec![2]]);
    let (corners, size) = shelves(&[(50, 10), (30, 20), (40, 10)], 100, 5);
    assert_eq!(corners, [(0, 0), (55, 0), (0, 25)]);
    assert_eq!(size, (85, 35));
}

//! Routing: where a circuit needs gates between qubits that a device does not connect, they are swapped along a shortest path until
//! they are neighbours. Each swap costs three gates, so a layout without any is tried first.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{
    lower::{LowerError, Needs, by_error, place_alone},
    target::Target,
};

/// Where the circuit's qubits are at a moment of it.
pub(super) struct Route {
    /// The device's qubit that each of the circuit's is on.
    places: HashMap<usize, usize>,
    /// The neighbours of each of the device's qubits, those with the least error first.
    neighbours: Vec<Vec<usize>>,
}

impl Route {
    /// Begins with a layout.
    pub(super) fn new(target: &Target, places: HashMap<usize, usize>) -> Self {
        Self { places, neighbours: neighbours(target) }
    }

    /// Begins with qubits near those that they have gates with, in the largest part of the device: each takes the free place with the
    /// fewest steps to its partners that have one, and of those the one that is read best.
    ///
    /// # Errors
    /// [`LowerError::Connectivity`] when that part is too small.
    pub(super) fn choose(target: &Target, needs: &Needs) -> Result<Self, LowerError> {
        let by_error = by_error(target);
        let mut route = Self::new(target, HashMap::new());
        let part = route.largest_part();
        let mut partners: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
        for (&(a, b), &gates) in &needs.pairs {
            partners.entry(a).or_default().push((b, gates));
            partners.entry(b).or_default().push((a, gates));
        }
        if partners.len() > part.len() {
            return Err(LowerError::Connectivity(partners.len()));
        }
        let mut order: Vec<usize> = vec![];
        for &first in partners.keys() {
            let mut next = VecDeque::from([first]);
            while let Some(qubit) = next.pop_front() {
                if !order.contains(&qubit) {
                    order.push(qubit);
                    next.extend(partners[&qubit].iter().map(|(other, _)| *other));
                }
            }
        }
        for qubit in order {
            let known: Vec<(Vec<usize>, f64)> = partners[&qubit]
                .iter()
                .filter_map(|(other, gates)| Some((route.distances(*route.places.get(other)?), *gates)))
                .collect();
            #[expect(clippy::cast_precision_loss, reason = "steps between qubits")]
            let steps = |place: usize| -> f64 {
                known.iter().map(|(distances, gates)| distances[place] as f64 * gates).sum()
            };
            let free = by_error
                .iter()
                .filter(|place| part.contains(place) && !route.places.values().any(|used| used == *place));
            // As many were counted.
            if let Some(&best) = free.min_by(|a, b| steps(**a).total_cmp(&steps(**b))) {
                route.places.insert(qubit, best);
            }
        }
        place_alone(needs, &by_error, &mut route.places);
        Ok(route)
    }

    /// The device's qubit that this one of the circuit's is on.
    pub(super) fn at(&self, qubit: usize) -> usize {
        self.places[&qubit]
    }

    /// The swaps of neighbours after which two qubits are neighbours: along a shortest path, from both its ends.
    pub(super) fn meet(&mut self, a: usize, b: usize) -> Vec<(usize, usize)> {
        let (from, to) = (self.at(a), self.at(b));
        if self.neighbours[from].contains(&to) {
            return vec![];
        }
        let distances = self.distances(to);
        let mut path = vec![from];
        while let Some(next) = path
            .last()
            .and_then(|&last| self.neighbours[last].iter().find(|&&next| distances[next] < distances[last]))
        {
            path.push(*next);
        }
        let middle = path.len() / 2;
        let (near, far) = path.split_at(middle);
        let steps = |part: &[usize]| part.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>();
        let back: Vec<usize> = far.iter().rev().copied().collect();
        let swaps = [steps(near), steps(&back)].concat();
        for &(one, other) in &swaps {
            for place in self.places.values_mut() {
                if *place == one {
                    *place = other;
                } else if *place == other {
                    *place = one;
                }
            }
        }
        swaps
    }

    /// The number of steps from a qubit of the device to each; those that it is not connected with are farther than all others.
    fn distances(&self, from: usize) -> Vec<usize> {
        let mut distances = vec![self.neighbours.len(); self.neighbours.len()];
        distances[from] = 0;
        let mut next = VecDeque::from([from]);
        while let Some(qubit) = next.pop_front() {
            for &neighbour in &self.neighbours[qubit] {
                if distances[neighbour] == self.neighbours.len() {
                    distances[neighbour] = distances[qubit] + 1;
                    next.push_back(neighbour);
                }
            }
        }
        distances
    }

    /// The largest set of qubits that are connected with one another.
    fn largest_part(&self) -> HashSet<usize> {
        let count = self.neighbours.len();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut largest = HashSet::new();
        for qubit in 0..count {
            if seen.contains(&qubit) {
                continue;
            }
            let distances = self.distances(qubit);
            let part: HashSet<usize> = (0..count).filter(|&other| distances[other] < count).collect();
            seen.extend(&part);
            if part.len() > largest.len() {
                largest = part;
            }
        }
        largest
    }
}

fn neighbours(target: &Target) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<(f64, usize)>> = vec![vec![]; target.readout_errors.len()];
    for coupling in &target.couplings {
        for (one, other) in [(coupling.first, coupling.second), (coupling.second, coupling.first)] {
            if let Some(found) = found.get_mut(one).filter(|_| other < target.readout_errors.len()) {
                found.push((coupling.error, other));
            }
        }
    }
    found
        .into_iter()
        .map(|mut of| {
            of.sort_by(|a, b| a.0.total_cmp(&b.0));
            of.into_iter().map(|(_, other)| other).collect()
        })
        .collect()
}

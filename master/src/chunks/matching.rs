//! Which server answers which label expression (master-behaviour §5.4).

use metadata::storage_class::{COPIES_MAX, LabelExpression};

/// A server as the matching sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Labels, bit 0 = A.
    pub labels: u32,
    /// Servers of one group are one place: only one of them may be matched.
    pub group: Option<u32>,
}

/// For each expression the place of its server in the list of candidates.
pub type Matching = [Option<usize>; COPIES_MAX];

/// A maximum matching of expressions to different servers, or groups of servers, that uses the
/// earliest servers: a server that can be matched together with all matched ones before it is.
pub fn match_labels(expressions: &[LabelExpression], candidates: &[Candidate]) -> Matching {
    let mut search = Search {
        expressions,
        candidates,
        units: units(candidates),
        taken: [None; COPIES_MAX],
        seen: [false; COPIES_MAX],
    };
    let wanted = expressions.len().min(COPIES_MAX);
    let mut found = 0;
    for unit in 0..search.units.len() {
        if found == wanted {
            break;
        }
        search.seen = [false; COPIES_MAX];
        if search.place(unit) {
            found += 1;
        }
    }
    let mut matching = [None; COPIES_MAX];
    for (place, taken) in matching.iter_mut().zip(search.taken) {
        *place = taken.map(|(_, candidate)| candidate);
    }
    matching
}

/// Members of each place, in order of the first member.
fn units(candidates: &[Candidate]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(candidates.len());
    let mut groups: Vec<(u32, usize)> = Vec::new();
    for (position, candidate) in candidates.iter().enumerate() {
        let Some(group) = candidate.group else {
            units.push(Unit::One(position));
            continue;
        };
        match groups.binary_search_by_key(&group, |&(known, _)| known) {
            Ok(place) => units[groups[place].1].add(position),
            Err(place) => {
                groups.insert(place, (group, units.len()));
                units.push(Unit::One(position));
            }
        }
    }
    units
}

enum Unit {
    One(usize),
    Many(Vec<usize>),
}

impl Unit {
    fn add(&mut self, member: usize) {
        match self {
            Unit::One(first) => *self = Unit::Many(vec![*first, member]),
            Unit::Many(members) => members.push(member),
        }
    }

    fn members(&self) -> &[usize] {
        match self {
            Unit::One(member) => std::slice::from_ref(member),
            Unit::Many(members) => members,
        }
    }
}

struct Search<'a> {
    expressions: &'a [LabelExpression],
    candidates: &'a [Candidate],
    units: Vec<Unit>,
    /// Unit and candidate that hold each expression.
    taken: [Option<(usize, usize)>; COPIES_MAX],
    seen: [bool; COPIES_MAX],
}

impl Search<'_> {
    /// Finds an expression for a unit: a free one, else one whose holder can move along an
    /// augmenting path (at most nine deep).
    fn place(&mut self, unit: usize) -> bool {
        for displace in [false, true] {
            for expression in 0..self.expressions.len().min(COPIES_MAX) {
                if self.seen[expression] || self.taken[expression].is_some() != displace {
                    continue;
                }
                let wanted = &self.expressions[expression];
                let mut members = self.units[unit].members().iter().copied();
                let Some(member) =
                    members.find(|&member| wanted.matches(self.candidates[member].labels))
                else {
                    continue;
                };
                self.seen[expression] = true;
                let free = match self.taken[expression] {
                    None => true,
                    Some((holder, _)) => self.place(holder),
                };
                if free {
                    self.taken[expression] = Some((unit, member));
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, match_labels};
    use metadata::storage_class::LabelExpression;

    const A: u32 = 1;
    const B: u32 = 2;
    const C: u32 = 4;
    const ANY: LabelExpression = LabelExpression::ANY;

    fn all(mask: u32) -> LabelExpression {
        LabelExpression([mask, 0, 0, 0])
    }

    fn check(
        expressions: &[LabelExpression],
        servers: &[(u32, Option<u32>)],
        expected: &[Option<usize>],
    ) {
        let candidates: Vec<_> = servers
            .iter()
            .map(|&(labels, group)| Candidate { labels, group })
            .collect();
        let matching = match_labels(expressions, &candidates);
        assert_eq!(
            &matching[..expressions.len()],
            expected,
            "{expressions:?} {servers:?}"
        );
    }

    #[test]
    fn the_matching_is_as_large_as_possible_and_prefers_early_servers() {
        let s = |labels| (labels, None);
        // A server that fits both goes where the other cannot.
        check(&[all(A), all(B)], &[s(A | B), s(A)], &[Some(1), Some(0)]);
        check(&[ANY, all(A)], &[s(A), s(B)], &[Some(1), Some(0)]);
        // Too few servers, too few labels.
        check(&[all(A), all(A)], &[s(A)], &[Some(0), None]);
        check(&[all(C), ANY], &[s(A), s(B)], &[None, Some(0)]);
        check(&[all(C)], &[], &[None]);
        // Order decides among equals, and a matched server stays matched.
        check(&[all(A)], &[s(B), s(A), s(A)], &[Some(1)]);
        check(&[ANY, ANY], &[s(A), s(B), s(C)], &[Some(0), Some(1)]);
        check(
            &[all(A), all(B), all(C)],
            &[s(A | B | C), s(A | B), s(A)],
            &[Some(2), Some(1), Some(0)],
        );
    }

    #[test]
    fn a_group_is_matched_once() {
        let g = |labels, group| (labels, Some(group));
        check(
            &[ANY, ANY],
            &[g(A, 1), g(A, 1), g(B, 2)],
            &[Some(0), Some(2)],
        );
        check(&[ANY, ANY], &[g(A, 1), g(B, 1)], &[Some(0), None]);
        // Any member may stand for the group.
        check(
            &[all(A), all(B)],
            &[g(A, 1), g(A, 2), g(B, 1)],
            &[Some(1), Some(2)],
        );
        // Without a group every server is a place of its own.
        check(&[ANY, ANY], &[(A, None), (A, None)], &[Some(0), Some(1)]);
    }
}

//! Rails: promotions between boxes that are not adjacent, drawn in the left margin.

use std::collections::BTreeMap;

/// A rail: from one box to others that do not directly follow it.
pub(super) struct Rail {
    from: usize,
    to: Vec<usize>,
    /// The lane's distance from the boxes, starting at 0.
    pub(super) lane: usize,
}

impl Rail {
    fn first(&self) -> usize {
        self.to.iter().copied().fold(self.from, usize::min)
    }

    fn last(&self) -> usize {
        self.to.iter().copied().fold(self.from, usize::max)
    }
}

/// The rails of these edges, which are pairs of box indices, on the lowest free lanes.
pub(super) fn rails(edges: impl Iterator<Item = (usize, usize)>) -> Vec<Rail> {
    let mut rails: Vec<Rail> = Vec::new();
    for (from, to) in edges {
        if from + 1 == to {
            continue;
        }
        match rails.iter_mut().find(|rail| rail.from == from) {
            Some(rail) => rail.to.push(to),
            None => rails.push(Rail { from, to: vec![to], lane: 0 }),
        }
    }
    // Shorter rails are nearer to the boxes.
    rails.sort_by_key(|rail| (rail.last() - rail.first(), rail.first()));
    for index in 0..rails.len() {
        let (placed, rest) = rails.split_at_mut(index);
        if let Some(rail) = rest.first_mut() {
            let (first, last) = (rail.first(), rail.last());
            let taken = |lane| {
                placed
                    .iter()
                    .any(|other| other.lane == lane && other.first() <= last && first <= other.last())
            };
            rail.lane = (0..index).find(|lane| !taken(*lane)).unwrap_or(index);
        }
    }
    rails
}

/// The characters of the margin: for every cell, the directions of its lines.
pub(super) struct Margin {
    width: usize,
    cells: BTreeMap<(usize, usize), u8>,
}

impl Margin {
    const UP: u8 = 1;
    const DOWN: u8 = 2;
    const LEFT: u8 = 4;
    const RIGHT: u8 = 8;
    /// The end of a line, at a box.
    const ARROW: u8 = 16;

    fn join(&mut self, row: usize, column: usize, directions: u8) {
        *self.cells.entry((row, column)).or_default() |= directions;
    }

    pub(super) fn row(&self, row: usize) -> String {
        (0..self.width).map(|column| self.character(row, column)).collect()
    }

    fn character(&self, row: usize, column: usize) -> char {
        const UP_DOWN: u8 = Margin::UP | Margin::DOWN;
        const ACROSS: u8 = Margin::LEFT | Margin::RIGHT;
        match self.cells.get(&(row, column)).copied().unwrap_or_default() {
            0 => ' ',
            directions if directions & Self::ARROW != 0 => '→',
            directions => match (directions & UP_DOWN, directions & ACROSS) {
                (_, 0) => '│',
                (0, _) => '─',
                (Self::DOWN, Self::RIGHT) => '┌',
                (Self::UP, Self::RIGHT) => '└',
                (UP_DOWN, Self::RIGHT) => '├',
                (Self::DOWN, _) => '┬',
                (Self::UP, _) => '┴',
                _ => '┼',
            },
        }
    }
}

/// Draws the rails in the margin: out of a box at its lowest line, into a box at its highest.
pub(super) fn draw_rails(rails: &[Rail], doors: &[(usize, usize)], width: usize) -> Margin {
    let mut margin = Margin { width, cells: BTreeMap::new() };
    for rail in rails {
        let column = width - 3 - 2 * rail.lane;
        let start = doors[rail.from].1;
        let ends: Vec<_> = rail.to.iter().map(|to| doors[*to].0).collect();
        let (top, bottom) =
            ends.iter().fold((start, start), |(top, bottom), row| (top.min(*row), bottom.max(*row)));
        for row in top..bottom {
            margin.join(row, column, Margin::DOWN);
            margin.join(row + 1, column, Margin::UP);
        }
        for row in ends.iter().copied().chain([start]) {
            margin.join(row, column, Margin::RIGHT);
            for crossed in column + 1..width {
                margin.join(row, crossed, Margin::LEFT | Margin::RIGHT);
            }
        }
        for row in ends {
            margin.join(row, width - 1, Margin::ARROW);
        }
    }
    margin
}

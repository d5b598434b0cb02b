//! Marks: lines, bands, bars, dots and intervals.

use super::{Chart, TOP, pixels};

/// The shape of a dot; arms differ in it too, for those who cannot tell their colours apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
}

/// Along which axis an interval lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Across,
    Up,
}

impl Shape {
    /// Its outline around a place.
    pub(crate) fn outline(self, x: f64, y: f64, radius: f64) -> String {
        let corners = |corners: &[(f64, f64)]| {
            let place = |&(dx, dy): &(f64, f64)| format!("{} {}", pixels(x + dx * radius), pixels(y + dy * radius));
            format!("M{}Z", corners.iter().map(place).collect::<Vec<_>>().join("L"))
        };
        match self {
            Shape::Circle => {
                let [left, y, r, twice] = [x - radius, y, radius, 2.0 * radius].map(pixels);
                format!("M{left} {y}a{r} {r} 0 1 0 {twice} 0a{r} {r} 0 1 0 -{twice} 0")
            }
            Shape::Square => corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Shape::Diamond => corners(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
            Shape::Triangle => corners(&[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)]),
        }
    }
}

impl Chart {
    /// A line through points; it breaks where one of them is missing.
    pub(crate) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let runs = points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|run| !run.is_empty());
        let path = |run: &[(f64, f64)]| {
            let places = run.iter().map(|&(x, y)| self.place(x, y)).collect::<Vec<_>>();
            // A lone point gets a stroke of no length, which a round cap makes a dot.
            format!("M{}{}", places.join("L"), if run.len() == 1 { "h0" } else { "" })
        };
        let path: String = runs.map(path).collect();
        if !path.is_empty() {
            self.body.empty("path", &[("class", &format!("line {class}")), ("d", &path)]);
        }
    }

    /// The area between two lines; points are `(x, low, high)`.
    pub(crate) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let is_whole = |(x, low, high): &(f64, f64, f64)| x.is_finite() && low.is_finite() && high.is_finite();
        for run in points.split(|point| !is_whole(point)).filter(|run| run.len() > 1) {
            let above = run.iter().map(|&(x, _, high)| self.place(x, high));
            let below = run.iter().rev().map(|&(x, low, _)| self.place(x, low));
            let outline = format!("M{}Z", above.chain(below).collect::<Vec<_>>().join("L"));
            self.body.empty("path", &[("class", &format!("band {class}")), ("d", &outline)]);
        }
    }

    /// A bar from corner to corner, with what it says on it.
    pub(crate) fn bar(&mut self, class: &str, x: [f64; 2], y: [f64; 2], title: &str) {
        if x.iter().chain(&y).any(|value| !value.is_finite()) {
            return;
        }
        let (left, right) = ends(x.map(|value| self.x_at(value)));
        let (top, bottom) = ends(y.map(|value| self.y_at(value)));
        self.rectangle(&format!("bar {class}"), [left, right - left, top, bottom - top], title);
    }

    /// A dot, with what it says on it.
    pub(crate) fn dot(&mut self, class: &str, shape: Shape, (x, y): (f64, f64), title: &str) {
        if x.is_finite() && y.is_finite() {
            let outline = shape.outline(self.x_at(x), self.y_at(y), 4.0);
            let attributes = [("class", format!("dot {class}")), ("d", outline)];
            let attributes = [("class", attributes[0].1.as_str()), ("d", &attributes[1].1)];
            self.body.element("path", &attributes, |html| html.leaf("title", &[], title));
        }
    }

    /// A bar from the low to the high end of an interval around a place, with caps.
    pub(crate) fn interval(&mut self, class: &str, direction: Direction, at: f64, bounds: [f64; 2]) {
        if bounds.iter().chain([&at]).any(|value| !value.is_finite()) {
            return;
        }
        let class = format!("interval {class}");
        let cap = 4.0;
        match direction {
            Direction::Across => {
                let (y, [low, high]) = (self.y_at(at), bounds.map(|bound| self.x_at(bound)));
                self.segment(&class, [low, high], [y, y]);
                self.segment(&class, [low, low], [y - cap, y + cap]);
                self.segment(&class, [high, high], [y - cap, y + cap]);
            }
            Direction::Up => {
                let (x, [low, high]) = (self.x_at(at), bounds.map(|bound| self.y_at(bound)));
                self.segment(&class, [x, x], [low, high]);
                self.segment(&class, [x - cap, x + cap], [low, low]);
                self.segment(&class, [x - cap, x + cap], [high, high]);
            }
        }
    }

    /// An unseen strip over the whole height that shows its text wherever the pointer is in it.
    pub(crate) fn strip(&mut self, x: [f64; 2], title: &str) {
        if x.iter().all(|value| value.is_finite()) {
            let (left, right) = ends(x.map(|value| self.x_at(value)));
            let height = self.bottom() - TOP;
            self.rectangle("strip", [left, right - left, TOP, height], title);
        }
    }

    fn rectangle(&mut self, class: &str, [x, width, y, height]: [f64; 4], title: &str) {
        let [x, width, y, height] = [x, width, y, height].map(pixels);
        let attributes = [("class", class), ("x", &x), ("width", &width), ("y", &y), ("height", &height)];
        self.body.element("rect", &attributes, |html| html.leaf("title", &[], title));
    }

    fn place(&self, x: f64, y: f64) -> String {
        format!("{} {}", pixels(self.x_at(x)), pixels(self.y_at(y)))
    }
}

fn ends([one, other]: [f64; 2]) -> (f64, f64) {
    (one.min(other), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, HALF};
    use super::*;

    fn drawn(draw: impl FnOnce(&mut Chart)) -> String {
        let axis = |label| Axis::linear(label, [0.0, 1.0]);
        let mut chart = Chart::new(HALF, axis("across"), axis("up"));
        draw(&mut chart);
        chart.finish("a plot").into_string()
    }

    #[test]
    fn a_line_breaks_where_a_value_is_missing() {
        let svg = drawn(|chart| chart.line("c0", &[(0.0, 0.0), (0.2, 0.1), (0.4, f64::NAN), (0.6, 1.0), (1.0, 0.5)]));
        let path = svg.split("class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 2, "{path}");
        assert!(!drawn(|chart| chart.line("c0", &[(f64::NAN, 0.0)])).contains("class=\"line"));
    }

    #[test]
    fn marks_stand_where_their_values_are() {
        let svg = drawn(|chart| chart.bar("c1", [0.0, 0.5], [0.0, 1.0], "half"));
        assert!(svg.contains("class=\"bar c1\" x=\"54\" width=\"223\" y=\"12\" height=\"196\""), "{svg}");
        assert!(svg.contains("<title>half</title>"), "{svg}");
        let svg = drawn(|chart| chart.interval("c1", Direction::Across, 0.5, [0.0, 1.0]));
        assert!(svg.contains("x1=\"54\" x2=\"500\" y1=\"110\" y2=\"110\""), "{svg}");
    }

    #[test]
    fn whatever_is_not_finite_is_left_out() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let svg = drawn(|chart| {
                chart.dot("c0", Shape::Diamond, (0.5, odd), "");
                chart.bar("c0", [0.0, odd], [0.0, 1.0], "");
                chart.interval("c0", Direction::Up, 0.5, [odd, 1.0]);
                chart.band("c0", &[(0.0, 0.0, odd), (odd, 0.0, 1.0)]);
                chart.strip([odd, 1.0], "");
                chart.note(odd, 0.0, "lost");
                chart.level(odd);
                chart.upright(odd, "lost");
            });
            assert_eq!(svg, drawn(|_| {}));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn every_shape_is_a_closed_outline_of_its_own() {
        let shapes = [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Triangle];
        let outlines: std::collections::BTreeSet<_> = shapes.map(|shape| shape.outline(5.0, 5.0, 4.0)).into();
        assert_eq!(outlines.len(), 4);
    }
}

//! Plots as SVG: axes, and marks placed by their values.
//!
//! Colours come from the style sheet through classes, so that one drawing serves light, dark and paper. Whatever is not a
//! finite number is left out, never drawn somewhere.

mod axis;
mod mark;

use super::html::Html;

pub(crate) use axis::Axis;
pub(crate) use mark::{Direction, Shape};

/// The size of a plot in pixels, and the room left of it for the labels of the axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Width of everything.
    pub(crate) width: f64,
    /// Height of everything.
    pub(crate) height: f64,
    /// Room for the labels of the vertical axis.
    pub(crate) left: f64,
}

/// Two plots of this size stand side by side.
pub(crate) const HALF: Size = Size { width: 520.0, height: 250.0, left: 54.0 };
/// A plot of this size stands alone.
pub(crate) const WIDE: Size = Size { width: 1064.0, height: 250.0, left: 54.0 };
/// Three plots of this size stand side by side.
pub(crate) const THIRD: Size = Size { width: 340.0, height: 190.0, left: 54.0 };

const TOP: f64 = 12.0;
const RIGHT: f64 = 20.0;
/// Room below a plot for its ticks or its label, and for both.
const ONE_LINE: f64 = 24.0;
const TWO_LINES: f64 = 42.0;

/// A plot that grows mark by mark; later ones lie above earlier ones.
#[derive(Debug)]
pub(crate) struct Chart {
    size: Size,
    x: Axis,
    y: Axis,
    body: Html,
}

impl Chart {
    /// An empty plot: its axes and grid.
    pub(crate) fn new(size: Size, x: Axis, y: Axis) -> Chart {
        let mut chart = Chart { size, x, y, body: Html::default() };
        chart.horizontal_axis();
        chart.vertical_axis();
        chart
    }

    /// The drawing; `description` is for those who cannot see it.
    pub(crate) fn finish(self, description: &str) -> Html {
        let mut html = Html::default();
        let view = format!("0 0 {} {}", self.size.width, self.size.height);
        // Drawn no wider than meant, so that letters keep their size on a wide screen.
        let attributes = [
            ("viewBox", view.as_str()),
            ("width", &pixels(self.size.width)),
            ("height", &pixels(self.size.height)),
            ("role", "img"),
            ("aria-label", description),
        ];
        html.element("svg", &attributes, |html| html.append(self.body));
        html
    }

    /// Across the plot at a value of the horizontal axis, with a word on it.
    pub(crate) fn upright(&mut self, x: f64, label: &str) {
        if !x.is_finite() {
            return;
        }
        let (at, bottom) = (self.x_at(x), self.bottom());
        self.segment("rule", [at, at], [TOP, bottom]);
        let is_left = self.x.place(x) < 0.5;
        let attributes = [
            ("class", "note"),
            ("x", &pixels(if is_left { at + 4.0 } else { at - 4.0 })),
            ("y", &pixels(TOP + 9.0)),
            ("text-anchor", if is_left { "start" } else { "end" }),
        ];
        self.body.leaf("text", &attributes, label);
    }

    /// Across the plot at a value of the vertical axis.
    pub(crate) fn level(&mut self, y: f64) {
        if y.is_finite() {
            let (at, right) = (self.y_at(y), self.size.width - RIGHT);
            self.segment("axis", [self.size.left, right], [at, at]);
        }
    }

    /// Text beside a place.
    pub(crate) fn note(&mut self, x: f64, y: f64, text: &str) {
        if x.is_finite() && y.is_finite() {
            let place = [pixels(self.x_at(x) + 7.0), pixels(self.y_at(y) + 4.0)];
            self.body.leaf("text", &[("class", "note"), ("x", &place[0]), ("y", &place[1])], text);
        }
    }

    fn x_at(&self, value: f64) -> f64 {
        self.size.left + self.x.place(value) * (self.size.width - RIGHT - self.size.left)
    }

    fn y_at(&self, value: f64) -> f64 {
        self.bottom() - self.y.place(value) * (self.bottom() - TOP)
    }

    fn bottom(&self) -> f64 {
        let room = match (self.x.ticks.is_empty(), self.x.label.is_empty()) {
            (true, _) | (_, true) => ONE_LINE,
            (false, false) => TWO_LINES,
        };
        self.size.height - room
    }

    fn segment(&mut self, class: &str, x: [f64; 2], y: [f64; 2]) {
        let [x1, x2] = x.map(pixels);
        let [y1, y2] = y.map(pixels);
        self.body.empty("line", &[("class", class), ("x1", &x1), ("x2", &x2), ("y1", &y1), ("y2", &y2)]);
    }

    fn horizontal_axis(&mut self) {
        let (bottom, right) = (self.bottom(), self.size.width - RIGHT);
        for (value, label) in self.x.ticks.clone() {
            let at = self.x_at(value);
            if self.x.has_grid {
                self.segment("grid", [at, at], [TOP, bottom]);
            }
            let attributes = [("x", pixels(at)), ("y", pixels(bottom + 16.0))];
            let attributes = [("x", attributes[0].1.as_str()), ("y", &attributes[1].1), ("text-anchor", "middle")];
            self.body.leaf("text", &attributes, &label);
        }
        self.segment("axis", [self.size.left, right], [bottom, bottom]);
        if !self.x.label.is_empty() {
            let place = [pixels((self.size.left + right) / 2.0), pixels(self.size.height - 6.0)];
            let attributes = [("class", "label"), ("x", &place[0]), ("y", &place[1]), ("text-anchor", "middle")];
            self.body.leaf("text", &attributes, &self.x.label);
        }
    }

    fn vertical_axis(&mut self) {
        let right = self.size.width - RIGHT;
        for (value, label) in self.y.ticks.clone() {
            let at = self.y_at(value);
            if self.y.has_grid {
                self.segment("grid", [self.size.left, right], [at, at]);
            }
            let place = [pixels(self.size.left - 7.0), pixels(at + 4.0)];
            // Names get what room there is; the whole one is in the tooltip.
            let room = ((self.size.left - 10.0) / 6.2) as usize;
            self.body.element("text", &[("x", &place[0]), ("y", &place[1]), ("text-anchor", "end")], |html| {
                html.text(&shortened(&label, room));
                html.leaf("title", &[], &label);
            });
        }
        if !self.y.label.is_empty() {
            let middle = (TOP + self.bottom()) / 2.0;
            let turn = format!("translate(12 {}) rotate(-90)", pixels(middle));
            let attributes = [("class", "label"), ("transform", turn.as_str()), ("text-anchor", "middle")];
            self.body.leaf("text", &attributes, &self.y.label);
        }
    }
}

/// The beginning of a text, with dots where something is missing.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A place in pixels, to a tenth.
fn pixels(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

//! Pieces that every section is made of.

use super::facts::Arm;
use super::html::Html;
use super::plot::Shape;

/// An entry of a plot's legend.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    class: &'static str,
    sign: Sign,
    label: String,
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    Line,
    Area,
    Dot(Shape),
}

impl Key {
    pub(crate) fn line(class: &'static str, label: &str) -> Key {
        Key { class, sign: Sign::Line, label: label.to_owned() }
    }

    pub(crate) fn area(class: &'static str, label: &str) -> Key {
        Key { class, sign: Sign::Area, label: label.to_owned() }
    }

    pub(crate) fn dot(class: &'static str, shape: Shape, label: &str) -> Key {
        Key { class, sign: Sign::Dot(shape), label: label.to_owned() }
    }

    pub(crate) fn arm(arm: &Arm) -> Key {
        Key::dot(arm.class, arm.shape, &arm.name)
    }

    fn draw(&self, html: &mut Html) {
        html.element("span", &[("class", "key")], |html| {
            html.append(sign(self.class, self.sign));
            html.text(&self.label);
        });
    }
}

fn sign(class: &str, sign: Sign) -> Html {
    let mut html = Html::default();
    let (kind, outline) = match sign {
        Sign::Line => ("line", "M1 6L15 6".to_owned()),
        Sign::Area => ("area", "M1 1L15 1L15 11L1 11Z".to_owned()),
        Sign::Dot(shape) => ("dot", shape.outline(8.0, 6.0, 4.0)),
    };
    let box_of_sign = [("viewBox", "0 0 16 12"), ("width", "16"), ("height", "12"), ("aria-hidden", "true")];
    html.element("svg", &box_of_sign, |html| {
        html.empty("path", &[("class", &format!("{kind} {class}")), ("d", &outline)]);
    });
    html
}

/// A plot with its title, what to see in it, and its legend.
pub(crate) fn figure(html: &mut Html, title: &str, caption: &str, legend: &[Key], plot: Html) {
    html.element("figure", &[], |html| {
        html.element("figcaption", &[], |html| {
            html.leaf("strong", &[], title);
            if !caption.is_empty() {
                prose(html, "span", "", caption);
            }
            if !legend.is_empty() {
                html.element("div", &[("class", "legend")], |html| legend.iter().for_each(|key| key.draw(html)));
            }
        });
        html.append(plot);
    });
}

/// What stands at the beginning of a table's row.
#[derive(Clone, Debug)]
pub(crate) enum Head<'a> {
    Arm(&'a Arm),
    Text(String),
}

/// A table: its columns' names, then rows of figures behind what they belong to.
pub(crate) fn table(html: &mut Html, columns: &[String], rows: &[(Head<'_>, Vec<String>)]) {
    html.element("div", &[("class", "table")], |html| {
        html.element("table", &[], |html| {
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    columns.iter().for_each(|column| html.leaf("th", &[("scope", "col")], column));
                });
            });
            html.element("tbody", &[], |html| rows.iter().for_each(|(head, cells)| row(html, head, cells)));
        });
    });
}

fn row(html: &mut Html, head: &Head<'_>, cells: &[String]) {
    html.element("tr", &[], |html| {
        match head {
            Head::Arm(arm) => html.element("th", &[("scope", "row"), ("class", "name")], |html| {
                html.append(sign(arm.class, Sign::Dot(arm.shape)));
                html.text(&arm.name);
            }),
            Head::Text(text) => html.leaf("th", &[("scope", "row")], text),
        }
        cells.iter().for_each(|cell| html.leaf("td", &[], cell));
    });
}

/// A section of the page, with the name that links point to.
#[derive(Debug)]
pub(crate) struct Section {
    id: &'static str,
    title: &'static str,
    body: Html,
}

impl Section {
    pub(crate) fn new(id: &'static str, title: &'static str, fill: impl FnOnce(&mut Html)) -> Section {
        let mut body = Html::default();
        fill(&mut body);
        Section { id, title, body }
    }

    /// A link to it.
    pub(crate) fn link(&self, html: &mut Html) {
        html.leaf("a", &[("href", &format!("#{}", self.id))], self.title);
    }

    pub(crate) fn draw(self, html: &mut Html) {
        html.element("section", &[("id", self.id)], |html| {
            html.leaf("h2", &[], self.title);
            html.append(self.body);
        });
    }
}

/// Words with names in backticks, which become code.
pub(crate) fn prose(html: &mut Html, name: &'static str, class: &str, text: &str) {
    let classes = [("class", class)];
    html.element(name, if class.is_empty() { &[] } else { &classes }, |html| {
        for (at, piece) in text.split('`').enumerate() {
            if at % 2 == 1 { html.leaf("code", &[], piece) } else { html.text(piece) }
        }
    });
}

/// Something folded away below a line.
pub(crate) fn folded(html: &mut Html, summary: &str, fill: impl FnOnce(&mut Html)) {
    html.element("details", &[], |html| {
        html.leaf("summary", &[], summary);
        fill(html);
    });
}

/// Text of somebody else's, as it is. What goes beyond a screenful is folded away but there.
pub(crate) fn quoted(html: &mut Html, text: &str) {
    const SHOWN: usize = 900;
    if text.trim().is_empty() {
        html.leaf("p", &[("class", "nothing")], if text.is_empty() { "(empty)" } else { "(white space only)" });
        return;
    }
    // A little too long is not worth folding.
    let cut = text.char_indices().nth(SHOWN).filter(|_| text.chars().nth(SHOWN + SHOWN / 5).is_some());
    let (shown, rest) = text.split_at(cut.map_or(text.len(), |(at, _)| at));
    html.leaf("pre", &[("dir", "auto")], shown);
    if !rest.is_empty() {
        let more = super::format::counted(rest.chars().count() as u64, "more character");
        folded(html, &format!("… {more}"), |html| html.leaf("pre", &[("dir", "auto")], rest));
    }
}

/// The names of columns.
pub(crate) fn columns<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

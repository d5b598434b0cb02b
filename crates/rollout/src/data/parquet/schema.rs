//! What columns a file has, and how they make up a row.

use super::Problem;
use super::thrift::Thrift;

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Schema {
    /// The fields of a row.
    pub(super) fields: Vec<Node>,
    /// The leaves, in the order of their chunks.
    pub(super) columns: Vec<Column>,
}

/// A field of a row, or a part of one.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) repetition: Repetition,
    /// The definition level from which on there is something here.
    pub(super) definition: u16,
    /// The repetition level of another item here.
    pub(super) repeat: u16,
    /// The first of the columns below.
    pub(super) first_column: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    Required,
    Optional,
    Repeated,
}

#[derive(Debug)]
pub(super) enum Kind {
    Leaf,
    Struct(Vec<Node>),
    /// The node below holds the items.
    List(Box<Node>, Items),
    /// The node below holds keys and values.
    Map(Box<Node>),
}

/// Where the items of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items {
    /// They are what is repeated.
    Repeated,
    /// They are the only field of what is repeated.
    OnlyField,
}

/// A leaf.
#[derive(Debug)]
pub(super) struct Column {
    /// The field of a row that it is a part of.
    pub(super) field: String,
    pub(super) physical: Physical,
    pub(super) meaning: Meaning,
    pub(super) max_definition: u16,
    pub(super) max_repeat: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    Fixed(usize),
}

/// What a value stands for where its physical type does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Itself,
    Text,
    Json,
    Unsigned,
    Decimal { scale: u16 },
    Uuid,
    List,
    Map,
}

/// How deep a schema may be; each level of nested lists takes two.
const MAX_DEPTH: u16 = 40;
const MAX_COLUMNS: usize = 10_000;
const MAX_NAME: usize = 1_000;

/// What lies above a node.
struct Above<'p> {
    /// The field of a row; empty above it.
    field: &'p str,
    definition: u16,
    repeat: u16,
    depth: u16,
}

impl Schema {
    /// The schema is a tree, written as a list that begins with the row itself.
    pub(super) fn read(elements: &[Thrift<'_>]) -> Result<Schema, Problem> {
        let (root, mut rest) = elements.split_first().ok_or(Problem::Damaged("it has no schema"))?;
        let mut columns = Vec::new();
        let above = Above { field: "", definition: 0, repeat: 0, depth: 0 };
        let mut fields = Vec::new();
        for _ in 0..root.size(5)? {
            fields.push(read_node(&mut rest, &above, &mut columns)?);
        }
        if columns.is_empty() || !rest.is_empty() {
            return Err(Problem::Damaged("its schema is not one tree"));
        }
        Ok(Schema { fields, columns })
    }
}

fn read_node(rest: &mut &[Thrift<'_>], above: &Above<'_>, columns: &mut Vec<Column>) -> Result<Node, Problem> {
    // SchemaElement of parquet.thrift.
    let (element, after) = rest.split_first().ok_or(Problem::Damaged("its schema is cut short"))?;
    *rest = after;
    let name = element.text(4).unwrap_or_default();
    let repetition = match element.int(3) {
        Some(0) | None => Repetition::Required,
        Some(1) => Repetition::Optional,
        Some(2) => Repetition::Repeated,
        Some(_) => return Err(Problem::Damaged("a column neither required nor optional nor repeated")),
    };
    let own = Above {
        definition: above.definition + u16::from(repetition != Repetition::Required),
        repeat: above.repeat + u16::from(repetition == Repetition::Repeated),
        depth: above.depth + 1,
        field: if above.depth == 0 { name } else { above.field },
    };
    if own.depth > MAX_DEPTH || columns.len() >= MAX_COLUMNS || name.len() > MAX_NAME {
        return Err(Problem::Damaged("its schema is too large"));
    }
    let first_column = columns.len();
    let kind = match element.int(5) {
        None | Some(0) => {
            let physical = physical_of(element)?;
            let meaning = meaning_of(element);
            let (max_definition, max_repeat) = (own.definition, own.repeat);
            columns.push(Column { field: own.field.to_owned(), physical, meaning, max_definition, max_repeat });
            Kind::Leaf
        }
        Some(n_children @ 1..) => {
            let mut children = Vec::new();
            for _ in 0..n_children {
                children.push(read_node(rest, &own, columns)?);
            }
            group_of(meaning_of(element), name, children)
        }
        Some(_) => return Err(Problem::Damaged("a column has fewer fields than none")),
    };
    let name = name.to_owned();
    Ok(Node { name, repetition, definition: own.definition, repeat: own.repeat, first_column, kind })
}

/// A list or map by its meaning, where its shape is that of one, else a struct. The rules for lists of older writers are
/// those of LogicalTypes.md.
fn group_of(meaning: Meaning, name: &str, mut children: Vec<Node>) -> Kind {
    match (meaning, &children[..]) {
        (Meaning::List, [only]) if only.repetition == Repetition::Repeated => {
            let items = match &only.kind {
                Kind::Struct(fields)
                    if fields.len() == 1 && only.name != "array" && only.name != format!("{name}_tuple") =>
                {
                    Items::OnlyField
                }
                _ => Items::Repeated,
            };
            Kind::List(Box::new(children.remove(0)), items)
        }
        (Meaning::Map, [only])
            if only.repetition == Repetition::Repeated
                && matches!(&only.kind, Kind::Struct(fields) if fields.len() == 2) =>
        {
            Kind::Map(Box::new(children.remove(0)))
        }
        _ => Kind::Struct(children),
    }
}

fn physical_of(element: &Thrift<'_>) -> Result<Physical, Problem> {
    Ok(match element.int(1) {
        Some(0) => Physical::Boolean,
        Some(1) => Physical::Int32,
        Some(2) => Physical::Int64,
        Some(3) => Physical::Int96,
        Some(4) => Physical::Float,
        Some(5) => Physical::Double,
        Some(6) => Physical::Bytes,
        Some(7) => Physical::Fixed(element.size(2)?),
        other => return Err(Problem::Unknown { what: "type", name: format!("{other:?}") }),
    })
}

/// The meaning by `logicalType`, or by `converted_type` as older writers have it.
fn meaning_of(element: &Thrift<'_>) -> Meaning {
    let scale = |scale: Option<i64>| u16::try_from(scale.unwrap_or(0)).unwrap_or(0);
    if let Some(logical) = element.field(10) {
        let integer = logical.field(10);
        let by_field = [
            (1, Meaning::Text),
            (2, Meaning::Map),
            (3, Meaning::List),
            (4, Meaning::Text),
            (5, Meaning::Decimal { scale: scale(logical.field(5).and_then(|decimal| decimal.int(1))) }),
            (12, Meaning::Json),
            (14, Meaning::Uuid),
        ];
        if integer.is_some_and(|integer| integer.bool(2) == Some(false)) {
            return Meaning::Unsigned;
        }
        if let Some((_, meaning)) = by_field.into_iter().find(|(id, _)| logical.field(*id).is_some()) {
            return meaning;
        }
    }
    match element.int(6) {
        Some(0 | 4) => Meaning::Text,
        Some(1 | 2) => Meaning::Map,
        Some(3) => Meaning::List,
        Some(5) => Meaning::Decimal { scale: scale(element.int(7)) },
        Some(11..=14) => Meaning::Unsigned,
        Some(19) => Meaning::Json,
        _ => Meaning::Itself,
    }
}

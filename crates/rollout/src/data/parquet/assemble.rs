//! From columns back to rows: the levels of Dremel (Melnik and others, 2010).

use serde_json::{Map, Value};

use super::column::{Cursor, Entries};
use super::schema::{Items, Kind, Node, Repetition, Schema};
use super::{Budget, Problem, Row};

/// The rows of a row group.
pub(super) fn assemble(
    schema: &Schema,
    columns: Vec<Entries>,
    n_rows: usize,
    budget: &mut Budget,
) -> Result<Vec<Row>, Problem> {
    let cursors = columns.into_iter().zip(&schema.columns).map(|(entries, column)| Cursor::new(entries, column));
    let mut assembler = Assembler { schema, cursors: cursors.collect(), budget, problem: None };
    let mut rows = Vec::new();
    for _ in 0..n_rows {
        // A row has a value or its absence in each column, so that their number bounds that of rows.
        let row = assembler.fields(&schema.fields)?;
        rows.push(assembler.problem.take().map_or(Ok(row), Err));
    }
    if !assembler.cursors.iter().all(Cursor::is_at_end) {
        return Err(Problem::Damaged("a column has too many values"));
    }
    Ok(rows)
}

struct Assembler<'a> {
    schema: &'a Schema,
    cursors: Vec<Cursor>,
    budget: &'a mut Budget,
    /// What is wrong with the row at hand.
    problem: Option<String>,
}

impl Assembler<'_> {
    fn fields(&mut self, fields: &[Node]) -> Result<Value, Problem> {
        let mut object = Map::new();
        for field in fields {
            self.budget.pay(field.name.len() as u64)?;
            object.insert(field.name.clone(), self.node(field)?);
        }
        Ok(Value::Object(object))
    }

    /// What stands at a node: nothing, something, or all that is repeated there.
    fn node(&mut self, node: &Node) -> Result<Value, Problem> {
        match node.repetition {
            Repetition::Repeated => Ok(Value::Array(self.repeated(node, |assembler| assembler.content(node))?)),
            Repetition::Optional if !self.is_there(node)? => {
                self.skip(node)?;
                Ok(Value::Null)
            }
            Repetition::Optional | Repetition::Required => self.content(node),
        }
    }

    fn is_there(&self, node: &Node) -> Result<bool, Problem> {
        Ok(self.cursor(node)?.definition()? >= u32::from(node.definition))
    }

    fn cursor(&self, node: &Node) -> Result<&Cursor, Problem> {
        self.cursors.get(node.first_column).ok_or(Problem::Damaged("a struct without fields"))
    }

    fn repeated<T>(
        &mut self,
        node: &Node,
        mut item: impl FnMut(&mut Self) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let mut items = Vec::new();
        if !self.is_there(node)? {
            self.skip(node)?;
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.cursor(node)?.repeat() != Some(u32::from(node.repeat)) {
                return Ok(items);
            }
        }
    }

    fn content(&mut self, node: &Node) -> Result<Value, Problem> {
        self.budget.pay_cells(1)?;
        match &node.kind {
            Kind::Leaf => self.leaf(node.first_column),
            Kind::Struct(fields) => self.fields(fields),
            Kind::List(repeated, items) => {
                let only_field = match (&repeated.kind, items) {
                    (Kind::Struct(fields), Items::OnlyField) => fields.first(),
                    _ => None,
                };
                let item = |assembler: &mut Self| match only_field {
                    Some(field) => assembler.node(field),
                    None => assembler.content(repeated),
                };
                Ok(Value::Array(self.repeated(repeated, item)?))
            }
            Kind::Map(pairs) => self.map(pairs),
        }
    }

    fn map(&mut self, pairs: &Node) -> Result<Value, Problem> {
        let fields = match &pairs.kind {
            Kind::Struct(fields) => &fields[..],
            Kind::Leaf | Kind::List(..) | Kind::Map(_) => &[],
        };
        let [key, value] = fields else {
            return Err(Problem::Damaged("a map without keys and values"));
        };
        let pairs = self.repeated(pairs, |assembler| Ok((assembler.node(key)?, assembler.node(value)?)))?;
        let named = pairs.into_iter().map(|(key, value)| match key {
            Value::String(key) => (key, value),
            key => (key.to_string(), value),
        });
        Ok(Value::Object(named.collect()))
    }

    fn leaf(&mut self, index: usize) -> Result<Value, Problem> {
        let cursor = self.cursors.get_mut(index).ok_or(Problem::Damaged("a struct without fields"))?;
        match cursor.take()? {
            Ok(value) => Ok(value),
            Err(problem) => {
                let field = self.schema.columns.get(index).map_or("", |column| &column.field);
                self.problem.get_or_insert_with(|| format!("field `{field}`: {problem}"));
                Ok(Value::Null)
            }
        }
    }

    /// Pass over a node that is not there, in every column below.
    fn skip(&mut self, node: &Node) -> Result<(), Problem> {
        match &node.kind {
            Kind::Leaf => {
                let cursor = self.cursors.get_mut(node.first_column);
                cursor.ok_or(Problem::Damaged("a struct without fields"))?.skip()
            }
            Kind::Struct(fields) => fields.iter().try_for_each(|field| self.skip(field)),
            Kind::List(below, _) | Kind::Map(below) => self.skip(below),
        }
    }
}

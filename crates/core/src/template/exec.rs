//! Rendering: walks the tree with the data, within bounds of steps and output.

use super::format::print_value;
use super::functions::{self, Function};
use super::parse::{Branch, Command, Node, Operand, Pipeline, Root};
use super::{TemplateError, TemplateProblem, Value, at};
use crate::limits;

pub(super) fn render(nodes: &[Node], data: &Value) -> Result<String, TemplateError> {
    let mut run = Run {
        output: String::new(),
        variables: vec![("$".to_owned(), data.clone())],
        steps_left: limits::TEMPLATE_STEPS_MAX,
    };
    run.nodes(nodes, data)?;
    Ok(run.output)
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run {
    output: String,
    variables: Vec<(String, Value)>,
    steps_left: usize,
}

impl Run {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        for node in nodes {
            self.step(0)?;
            let flow = match node {
                Node::Text(text) => self.write(text).map(|()| Flow::On),
                Node::Action(pipeline) => self.action(pipeline, dot).map(|()| Flow::On),
                Node::If(branch) => self.choose(branch, dot, false),
                Node::With(branch) => self.choose(branch, dot, true),
                Node::Range(branch) => self.range(branch, dot).map(|()| Flow::On),
                Node::Break => Ok(Flow::Break),
                Node::Continue => Ok(Flow::Continue),
            }?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn step(&mut self, line: u64) -> Result<(), TemplateError> {
        self.charge(1, line)
    }

    fn charge(&mut self, steps: usize, line: u64) -> Result<(), TemplateError> {
        self.steps_left = self
            .steps_left
            .checked_sub(steps)
            .ok_or_else(|| at(line, TemplateProblem::Limit("work")))?;
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.output.len() + text.len() > limits::TEMPLATE_OUTPUT_BYTES_MAX {
            return Err(at(0, TemplateProblem::Limit("output")));
        }
        self.output.push_str(text);
        Ok(())
    }

    fn action(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<(), TemplateError> {
        let value = self.pipeline(pipeline, dot)?;
        if pipeline.variables.is_empty() {
            let text = print_value(&value);
            self.write(&text)?;
        }
        Ok(())
    }

    /// `if` and `with`.
    fn choose(&mut self, branch: &Branch, dot: &Value, with: bool) -> Result<Flow, TemplateError> {
        let outer = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if functions::truth(&value) {
            self.nodes(&branch.body, if with { &value } else { dot })
        } else {
            self.nodes(&branch.otherwise, dot)
        };
        self.variables.truncate(outer);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<(), TemplateError> {
        let outer = self.variables.len();
        let line = branch.pipeline.line;
        let value = self.commands(&branch.pipeline, dot)?;
        let mut any = false;
        for (key, item) in rounds(&value, line)? {
            any = true;
            self.step(line)?;
            self.loop_variables(&branch.pipeline, key, &item);
            let flow = self.nodes(&branch.body, &item)?;
            self.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        if !any {
            self.nodes(&branch.otherwise, dot)?;
        }
        self.variables.truncate(outer);
        Ok(())
    }

    fn loop_variables(&mut self, pipeline: &Pipeline, key: Value, item: &Value) {
        let pairs = match pipeline.variables.as_slice() {
            [] => Vec::new(),
            [only] => vec![(only, item.clone())],
            [first, second, ..] => vec![(first, key), (second, item.clone())],
        };
        for (name, value) in pairs {
            self.set(name, value, pipeline.assigns);
        }
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool) {
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        match known {
            Some((_, place)) if assigns => *place = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    /// The value of a pipeline, after its variable was set.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.assigns);
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut piped = None;
        for command in &pipeline.commands {
            self.step(pipeline.line)?;
            piped = Some(self.command(command, piped, dot, pipeline.line)?);
        }
        Ok(piped.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        command: &Command,
        piped: Option<Value>,
        dot: &Value,
        line: u64,
    ) -> Result<Value, TemplateError> {
        match command.operands.split_first() {
            Some((Operand::Function(function), arguments)) => {
                self.call(*function, arguments, piped, dot, line)
            }
            Some((operand, _)) => self.operand(operand, dot, line),
            None => Ok(Value::Nil),
        }
    }

    /// Calls a function. `and` and `or` stop at the argument that decides.
    fn call(
        &mut self,
        function: Function,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
        line: u64,
    ) -> Result<Value, TemplateError> {
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let value = self.operand(operand, dot, line)?;
            if function.stops_at(&value) {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        // Whole lists are read by what prints them only.
        for argument in &arguments {
            if function.prints() || matches!(argument, Value::Text(_)) {
                self.charge(weight(argument), line)?;
            }
        }
        let value = functions::call(function, &arguments).map_err(|problem| at(line, problem))?;
        if let Value::Text(_) = value {
            self.charge(weight(&value), line)?;
        }
        Ok(value)
    }

    fn operand(
        &mut self,
        operand: &Operand,
        dot: &Value,
        line: u64,
    ) -> Result<Value, TemplateError> {
        self.step(line)?;
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Function(function) => {
                functions::call(*function, &[]).map_err(|problem| at(line, problem))
            }
            Operand::Chain(root, fields) => {
                let mut value = match root {
                    Root::Dot => dot.clone(),
                    Root::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
                    Root::Variable(name) => {
                        let known = self.variables.iter().rev().find(|(known, _)| known == name);
                        known.map_or(Value::Nil, |(_, value)| value.clone())
                    }
                };
                for name in fields {
                    value = field(&value, name).map_err(|problem| at(line, problem))?;
                }
                Ok(value)
            }
        }
    }
}

/// Steps that a function takes to read or write a value: a text of the largest size is no single one.
fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() / limits::TEMPLATE_STEP_BYTES,
        Value::Map(map) => map.len(),
        Value::List(list) => list.iter().map(|item| 1 + weight(item)).sum(),
        Value::Record(record) => record.fields.iter().map(|(_, item)| 1 + weight(item)).sum(),
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
    }
}

fn field(value: &Value, name: &str) -> Result<Value, TemplateProblem> {
    match value {
        Value::Map(map) => Ok(Value::text(map.get(name).map_or("", String::as_str))),
        Value::Record(record) => record
            .fields
            .iter()
            .chain(&record.own)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| TemplateProblem::UnknownField(name.to_owned())),
        _ => Err(TemplateProblem::UnknownField(name.to_owned())),
    }
}

/// Keys and items, one round each.
type Rounds = Box<dyn Iterator<Item = (Value, Value)>>;

/// What `range` goes over.
fn rounds(value: &Value, line: u64) -> Result<Rounds, TemplateError> {
    match value {
        Value::Nil => Ok(Box::new(std::iter::empty())),
        Value::List(list) => {
            let list_length = list.len();
            let list = list.clone();
            let item = move |index: usize| list.get(index).cloned().unwrap_or(Value::Nil);
            let length = i64::try_from(list_length).unwrap_or(i64::MAX);
            let rounds = (0..length).zip(0_usize..);
            Ok(Box::new(rounds.map(move |(number, index)| {
                (Value::Int(number), item(index))
            })))
        }
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, item)| (Value::text(key), Value::text(item)));
            Ok(Box::new(pairs.collect::<Vec<_>>().into_iter()))
        }
        Value::Int(count) => Ok(Box::new(
            (0..*count).map(|number| (Value::Int(number), Value::Int(number))),
        )),
        Value::Bool(_) | Value::Float(_) | Value::Text(_) | Value::Record(_) => {
            let problem = "`range` needs a list, a map or a number".to_owned();
            Err(at(line, TemplateProblem::WrongKind(problem)))
        }
    }
}

//! The references of templates to outputs of other components: `{{ outputs.database.url }}`.

use std::cell::RefCell;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg, Template};
use serde_json::Value;

use crate::deployment::names::ComponentName;

/// The prefix of references to outputs.
const OUTPUTS: &str = "outputs";

/// The first component that the template refers to and whose outputs `facts` lacks entirely.
pub(super) fn unknown_component(template: &Template, facts: &Value) -> Option<ComponentName> {
    find(template, &|component, _| facts[OUTPUTS].get(component).is_none())
}

/// The first component that lacks the output that the template refers to.
pub(super) fn lacking(template: &Template, facts: &Value) -> Option<ComponentName> {
    let has = |component: &str, rest: &[&str]| {
        rest.iter().try_fold(&facts[OUTPUTS][component], |value, name| value.get(*name)).is_some()
    };
    find(template, &|component, rest| !has(component, rest))
}

/// A reference to an output in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedOutput {
    /// The component, which need not exist.
    pub component: String,
    /// Absent where the template refers to all outputs of the component.
    pub output: Option<String>,
}

/// The references to outputs in a text; none if it is not a template.
#[must_use]
pub fn named_outputs(text: &str) -> Vec<NamedOutput> {
    let Ok(template) = Template::compile(text) else { return Vec::new() };
    let named = RefCell::new(Vec::new());
    let note = |component: &str, rest: &[&str]| {
        let output = rest.first().map(|name| (*name).to_owned());
        let found = NamedOutput { component: component.to_owned(), output };
        let mut named = named.borrow_mut();
        if !named.contains(&found) {
            named.push(found);
        }
        // The search ends at the first match.
        false
    };
    let _ = find(&template, &note);
    named.into_inner()
}

/// Whether an output is searched for, given its component and the names below it.
type Wanted<'a> = &'a dyn Fn(&str, &[&str]) -> bool;

fn find(template: &Template, wanted: Wanted<'_>) -> Option<ComponentName> {
    template.elements.iter().find_map(|element| in_element(element, wanted))
}

fn in_element(element: &TemplateElement, wanted: Wanted<'_>) -> Option<ComponentName> {
    match element {
        TemplateElement::Expression(expression)
        | TemplateElement::HtmlExpression(expression)
        | TemplateElement::HelperBlock(expression) => in_expression(expression, wanted),
        _ => None,
    }
}

fn in_expression(expression: &HelperTemplate, wanted: Wanted<'_>) -> Option<ComponentName> {
    let parameters =
        std::iter::once(&expression.name).chain(&expression.params).chain(expression.hash.values());
    let mut parameters = parameters.filter_map(|parameter| in_parameter(parameter, wanted));
    parameters.next().or_else(|| {
        let inside = [&expression.template, &expression.inverse];
        inside.into_iter().flatten().find_map(|template| find(template, wanted))
    })
}

fn in_parameter(parameter: &Parameter, wanted: Wanted<'_>) -> Option<ComponentName> {
    match parameter {
        Parameter::Path(Path::Relative((segments, _))) => {
            let names = segments.iter().map(segment_name).collect::<Option<Vec<_>>>()?;
            match names.as_slice() {
                [OUTPUTS, component, rest @ ..] if wanted(component, rest) => component.parse().ok(),
                _ => None,
            }
        }
        Parameter::Subexpression(inner) => in_element(inner.as_element(), wanted),
        _ => None,
    }
}

const fn segment_name(segment: &PathSeg) -> Option<&str> {
    match segment {
        PathSeg::Named(name) => Some(name.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_that_a_template_names_is_found_once() {
        let named = |text: &str| -> Vec<String> {
            let shown = |found: NamedOutput| match found.output {
                Some(output) => format!("{}:{output}", found.component),
                None => found.component,
            };
            named_outputs(text).into_iter().map(shown).collect()
        };
        let text = "{{ outputs.db.url }}/{{#if outputs.[ecs/api].id}}{{ outputs.db.url }}{{ outputs.db.port }}{{/if}}";
        assert_eq!(named(text), ["db:url", "ecs/api:id", "db:port"]);
        assert_eq!(named("{{#with outputs.db}}{{ url }}{{/with}}"), ["db"]);
        assert_eq!(named("{{ context.cpu }} outputs.db.url"), [""; 0]);
        assert_eq!(named("{{ outputs.db"), [""; 0]);
    }
}

//! Which outputs of other components a template names: `{{ outputs.database.url }}`.

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg, Template};
use serde_json::Value;

use crate::deployment::names::ComponentName;

/// What the names of outputs begin with.
const OUTPUTS: &str = "outputs";

/// The first component whose outputs the template names and `facts` do not have at all.
pub(super) fn unknown_component(template: &Template, facts: &Value) -> Option<ComponentName> {
    find(template, &|component, _| facts[OUTPUTS].get(component).is_none())
}

/// The first component that has no such output as the template names.
pub(super) fn lacking(template: &Template, facts: &Value) -> Option<ComponentName> {
    let has = |component: &str, rest: &[&str]| {
        rest.iter().try_fold(&facts[OUTPUTS][component], |value, name| value.get(*name)).is_some()
    };
    find(template, &|component, rest| !has(component, rest))
}

/// Whether an output, of a component and by the names below it, is looked for.
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

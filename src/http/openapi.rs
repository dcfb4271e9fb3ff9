//! `/openapi.json`: the routes as programs read them, written from the table that the router is made of.

use serde_json::{Map, Value, json};

use super::Server;
use crate::database::Call;
use crate::database::panel::{Kind, Panel, Parameter, Shape, panels};
use crate::limits;

/// A day or a time, and a length of time.
const MOMENT: &str =
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z)?$";
const LENGTH: &str = "^[1-9][0-9]{0,3} (seconds|minutes|hours|days)$";

/// The document. The segments that it lists are those of the last refresh.
pub(super) fn document(server: &Server) -> String {
    let held = server.held.now();
    let segments = held.as_ref().and_then(|held| held.facts.as_ref()).map(|facts| facts.segments.clone());
    let segments = segments.unwrap_or_default();
    let mut paths = Map::new();
    for panel in panels() {
        paths.insert(panel.path.to_owned(), json!({ "get": of_panel(panel, &segments) }));
    }
    paths.insert("/api/sql".to_owned(), json!({ "post": of_sql() }));
    for call in Call::ALL.iter().filter(|_| server.collector.is_some()) {
        paths.insert(format!("/v1/{}", call.name()), json!({ "post": of_call(*call) }));
    }
    for (path, what, kind) in [
        ("/healthz", "Whether the store can be read and written to", "application/json"),
        ("/metrics", "Counters in Prometheus' text format", "text/plain"),
        ("/openapi.json", "This document", "application/json"),
    ] {
        let content = json!({ kind: { "schema": if kind == "text/plain" { json!({"type": "string"}) } else { json!({"type": "object"}) } } });
        let responses = json!({ "200": { "description": what, "content": content }, "default": refusal() });
        paths.insert(path.to_owned(), json!({ "get": { "summary": what, "responses": responses } }));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "journeyql", "version": env!("CARGO_PKG_VERSION"), "description": "User journeys as JSON and CSV. Each list is what the SQL in the header x-journeyql-sql answers." },
        "paths": paths,
        "components": { "schemas": { "Refusal": refusal_schema() } },
    });
    document.to_string() + "\n"
}

fn of_panel(panel: &Panel, segments: &[String]) -> Value {
    let parameters: Vec<Value> = panel.parameters().map(|known| of_parameter(panel, known, segments)).collect();
    let rows = json!({ "type": "array", "items": { "type": "object" } });
    let shape = match panel.shape {
        Shape::Rows => rows,
        Shape::Stats => json!({ "type": "object", "required": ["events", "users", "sessions", "journeyql"] }),
        Shape::Flows => {
            json!({ "type": "object", "required": ["nodes", "links"], "properties": { "nodes": rows, "links": rows } })
        }
    };
    json!({
        "summary": panel.what,
        "parameters": parameters,
        "responses": {
            "200": { "description": panel.what, "headers": heads(), "content": content(&shape) },
            "304": { "description": "The answer that If-None-Match names is still true" },
            "400": refusal(),
            "default": refusal(),
        },
    })
}

fn of_parameter(panel: &Panel, parameter: &Parameter, segments: &[String]) -> Value {
    let in_path = panel.has_in_path(parameter);
    let none_or = |mut schema: Value| {
        if parameter.is_filter() {
            schema = json!({ "anyOf": [schema, { "type": "string", "maxLength": 0 }] });
        }
        schema
    };
    let mut schema = match parameter.kind {
        Kind::Moment => none_or(json!({ "type": "string", "pattern": MOMENT })),
        Kind::Length => none_or(json!({ "type": "string", "pattern": LENGTH })),
        Kind::Text | Kind::Relation => json!({ "type": "string" }),
        Kind::Segment => {
            let all: Vec<&str> = std::iter::once("").chain(segments.iter().map(String::as_str)).collect();
            json!({ "type": "string", "enum": all })
        }
        Kind::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
        Kind::Choice(names) | Kind::Column(names) => json!({ "type": "string", "enum": names }),
        Kind::Labels => {
            let label = json!({ "type": "string", "minLength": 1 });
            json!({ "type": "array", "minItems": 1, "maxItems": limits::FUNNEL_STEPS, "items": label })
        }
    };
    if in_path && let Some(schema) = schema.as_object_mut() {
        schema.insert("minLength".to_owned(), json!(1));
    }
    if let (Some(default), Some(schema)) = (parameter.default, schema.as_object_mut()) {
        let default =
            if matches!(parameter.kind, Kind::Count(_)) { json!(default.parse::<u32>().ok()) } else { json!(default) };
        schema.insert("default".to_owned(), default);
    }
    json!({
        "name": parameter.name,
        "in": if in_path { "path" } else { "query" },
        "required": parameter.required,
        "description": parameter.what,
        "schema": schema,
    })
}

fn of_sql() -> Value {
    let posted = json!({
        "type": "object",
        "required": ["sql"],
        "additionalProperties": false,
        "properties": { "sql": { "type": "string", "example": "SELECT * FROM stats" } },
    });
    let rows = json!({ "type": "array", "items": { "type": "object" } });
    json!({
        "summary": "Any SQL that reads; SET statements before it hold for it alone",
        "requestBody": { "required": true, "content": { "application/json": { "schema": posted }, "text/plain": { "schema": { "type": "string" } } } },
        "responses": {
            "200": { "description": "The rows", "headers": heads(), "content": content(&rows) },
            "400": refusal(),
            "default": refusal(),
        },
    })
}

fn of_call(call: Call) -> Value {
    let what = match call {
        Call::Batch => "Messages, each with its type".to_owned(),
        _ => format!("A message: {}", call.name()),
    };
    let message = if call == Call::Batch {
        json!({ "type": "object", "required": ["batch"], "properties": { "batch": { "type": "array" } } })
    } else {
        json!({ "type": "object" })
    };
    let taken = json!({
        "type": "object",
        "required": ["success", "accepted", "refused"],
        "properties": { "success": { "type": "boolean" }, "accepted": { "type": "integer" }, "refused": { "type": "integer" } },
    });
    json!({
        "summary": what,
        "requestBody": { "required": true, "content": { "application/json": { "schema": message } } },
        "responses": {
            "200": { "description": "They are on the disk", "content": { "application/json": { "schema": taken } } },
            "400": refusal(),
            "default": refusal(),
        },
    })
}

fn content(json_schema: &Value) -> Value {
    json!({ "application/json": { "schema": json_schema }, "text/csv": { "schema": { "type": "string" } } })
}

fn heads() -> Value {
    let text = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    json!({
        "x-journeyql-sql": text("The SQL that was answered, percent-encoded"),
        "x-journeyql-snapshot": text("The snapshot of the store that was read"),
        "x-journeyql-age-s": text("Seconds since it was computed"),
        "etag": text("For If-None-Match"),
    })
}

fn refusal() -> Value {
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } });
    json!({ "description": "What is wrong", "content": content })
}

fn refusal_schema() -> Value {
    let text = || json!({ "type": "string" });
    let error = json!({
        "type": "object",
        "required": ["message"],
        "properties": { "parameter": text(), "limit": text(), "message": text(), "hint": text() },
    });
    json!({ "type": "object", "required": ["error"], "properties": { "error": error } })
}

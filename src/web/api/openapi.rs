//! The description of the API (OpenAPI 3.1), made from the table of operations and the types of their requests.

use axum::http::header;
use axum::routing::{MethodFilter, on};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::BASE;
use super::keys::{Key, Keys};
use super::operations::{Does, Given, OPERATIONS, Operation, Own};
use crate::web::problem::{Details, MEDIA};
use crate::web::session::{self, COOKIE, Login, Session};

/// Where types are described.
const SCHEMAS: &str = "#/components/schemas/";
const ABOUT: &str = "\
The same requests go over MQTT, with the same keys and the same answers: publish the object on \
`<base>/bridge/request/<name>`, where `<name>` is each operation's `x-request`. Times are RFC 3339 in texts, and \
milliseconds since 1970 in columns of numbers. What goes wrong is told as problem details (RFC 9457).";

/// What [`session::PATH`] can be asked: the method, the id, and what it does.
const SESSIONS: [(&str, &str, &str); 3] = [
    ("get", "session", "Whether a login is needed, and whether whoever asks is logged in; not on the Unix socket"),
    ("post", "session_open", "Log in, for a browser: the answer sets a cookie; not on the Unix socket"),
    ("delete", "session_close", "Log out in this browser; not on the Unix socket"),
];

/// `GET /openapi.json`.
pub const OPERATION: Own = Own {
    summary: "This description",
    route: |method: MethodFilter| {
        // Made when it is asked for: seldom, and it is some milliseconds.
        on(method, || async { ([(header::CONTENT_TYPE, "application/json")], document().to_string()) })
    },
    takes: None,
    gives: Given::Json(SchemaGenerator::subschema_for::<Map<String, Value>>),
};

/// The whole document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = SCHEMAS.trim_start_matches('#').into();
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Details<'_>>();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(format!("{BASE}{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method.name()] = describe(operation, &mut schemas);
    }
    paths.insert(session::PATH.into(), sessions(&mut schemas));
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "ttn-ferry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        // Relative to where this document is: behind a proxy, below any path.
        "servers": [{ "url": "../.." }],
        "security": [{ "token": [] }, { "session": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": { "Problem": { "description": "Why it was not done", "content": { MEDIA: { "schema": problem } } } },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`[web] token`, for scripts" },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": COOKIE,
                    "description": "What logging in with the password gives a browser, with `__Secure-` before its name where \
                                    that speaks TLS. Neither is needed on the Unix socket, \
                                    nor where no password or token is set.",
                },
            },
        },
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let keys = Keys::of(operation);
    let parameters: Vec<_> = keys.in_path().map(|key| parameter(&key, "path")).collect();
    let parameters: Vec<_> =
        parameters.into_iter().chain(keys.in_query().map(|key| parameter(&key, "query"))).collect();
    let mut described = json!({
        "operationId": operation.id.replace('/', "_"),
        "summary": operation.summary(),
        "tags": [operation.path.split('/').nth(1)],
        "parameters": parameters,
        "responses": responses(operation, schemas),
    });
    if let Some((schema, required)) = keys.in_body() {
        described["requestBody"] =
            json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    }
    if let Does::Asks(request) | Does::Looks(request) = operation.does {
        described["x-request"] = request.into();
    }
    if let Some(limit) = operation.limit() {
        described["x-limit-s"] = limit.as_secs().into();
    }
    described
}

fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut good = json!({ "description": operation.status.canonical_reason().unwrap_or("Done") });
    if let Given::Json(gives) = operation.gives() {
        good["content"] = json!({ "application/json": { "schema": gives(schemas) } });
    }
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    json!({ operation.status.as_str(): good, "4XX": problem, "5XX": problem })
}

/// What stands before the API, and so in no table of it: logging in and out, over the network only.
fn sessions(schemas: &mut SchemaGenerator) -> Value {
    let session = schemas.subschema_for::<Session<'_>>();
    let described = |(method, id, summary): (&str, &str, &str)| {
        let problem = json!({ "$ref": "#/components/responses/Problem" });
        let good = json!({ "description": "OK", "content": { "application/json": { "schema": session } } });
        let described = json!({
            "operationId": id,
            "summary": summary,
            "tags": ["session"],
            "security": [{}],
            "parameters": [],
            "responses": { "200": good, "4XX": problem, "5XX": problem },
        });
        (method.to_owned(), described)
    };
    let mut all = Map::from_iter(SESSIONS.map(described));
    let login = schemas.subschema_for::<Login>();
    all["post"]["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": login } } });
    Value::Object(all)
}

fn parameter(key: &Key<'_>, place: &str) -> Value {
    let mut schema = key.schema.clone();
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({ "name": key.name, "in": place, "required": key.is_needed, "schema": schema });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    if place == "query" && parameter["schema"]["type"] == "array" {
        // `fields=a,b`.
        (parameter["style"], parameter["explode"]) = ("form".into(), false.into());
    }
    parameter
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn operations(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, all)| all.as_object().unwrap().values().map(move |operation| (path, operation)))
    }

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_type_is_referred_to() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 40, "{found:?}");
        for reference in &found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("{SCHEMAS}{name}").as_str()), "{name}");
            assert!(!name.ends_with(char::is_numeric), "{name}: two types have that name; say `schemars(rename)`");
        }
    }

    #[test]
    fn every_key_of_a_path_is_described_once_and_every_operation_has_its_own_name() {
        let document = document();
        let mut names = BTreeSet::new();
        for (path, operation) in operations(&document) {
            let in_path: Vec<_> =
                operation["parameters"].as_array().unwrap().iter().filter(|it| it["in"] == "path").collect();
            let named: Vec<_> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(in_path.iter().map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), named, "{path}");
            assert!(in_path.iter().all(|it| it["required"] == true && it["schema"]["type"] == "string"), "{path}");
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{operation}");
        }
        assert_eq!(names.len(), OPERATIONS.len() + SESSIONS.len());
    }

    #[test]
    fn what_a_get_takes_is_in_the_query_and_what_a_post_takes_in_the_body() {
        let document = document();
        let listing = &document["paths"]["/api/v1/downlinks"]["get"];
        let names: Vec<_> =
            listing["parameters"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["application", "device", "limit", "open"]);
        assert_eq!(listing.get("requestBody"), None);
        let options =
            &document["paths"]["/api/v1/devices/{device}"]["patch"]["requestBody"]["content"]["application/json"];
        let keys: Vec<_> = options["schema"]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["application", "options"]);
        assert!(document["paths"]["/api/v1/log/level"]["get"]["parameters"].as_array().unwrap().is_empty());
    }
}

//! `/openapi.json` is the truth: schemathesis asks every route what it says may be asked, and what may not.

use std::process::Command;

use super::client::Shop;

#[test]
fn the_document_lists_every_route() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    assert_eq!(server.get("/api/stats").status, 200);
    let document = server.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    for panel in journeyql::database::panel::panels() {
        let known = paths[panel.path]["get"]["parameters"].as_array().unwrap();
        let names: Vec<&str> = known.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, panel.parameters().map(|parameter| parameter.name).collect::<Vec<_>>());
    }
    for path in ["/api/sql", "/healthz", "/metrics", "/openapi.json"] {
        assert!(paths.contains_key(path), "{path}");
    }
}

/// That any text is SQL is no promise, so a 400 of `/api/sql` is as good as an answer.
#[test]
fn schemathesis_finds_no_fault() {
    let python = std::env::var("JOURNEYQL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import schemathesis"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!(
            "not run: no schemathesis for {python} (pip install schemathesis==4.32.5; JOURNEYQL_PYTHON names the interpreter)"
        );
        return;
    }
    let shop = Shop::new();
    let mut server = shop.serve(&["--timeout", "10 seconds"]);
    server.has_refreshed();
    let rules = shop.dir.path().join("schemathesis.toml");
    let sql = "[[operations]]\ninclude-path = \"/api/sql\"\nchecks.positive_data_acceptance.enabled = false\n";
    std::fs::write(&rules, sql).unwrap();
    let run = Command::new(&python)
        .current_dir(shop.dir.path())
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(rules)
        .args(["run", "--max-examples", "15", "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"])
        .arg(format!("http://{}/openapi.json", server.address))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    server.is_alive();
}

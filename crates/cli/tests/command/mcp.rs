//! `metaxy mcp`: a client over pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::documented::assert_shape;
use crate::support::{Folder, RAW};

const TRANSCRIPT: &str = "video/transcript";

/// A session with the server.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    sent: u64,
}

impl Client {
    fn start(folder: &Folder, args: &[&str]) -> Self {
        let mut child = folder
            .command(&[args, &["mcp"]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self {
            child,
            input,
            output,
            sent: 0,
        };
        let hello = client.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"}
            }),
        );
        assert_eq!(hello["result"]["serverInfo"]["name"], "metaxy");
        assert!(
            hello["result"]["capabilities"]["tools"].is_object(),
            "{hello}"
        );
        let instructions = hello["result"]["instructions"].as_str().unwrap();
        assert!(
            instructions.contains("All tools only read."),
            "{instructions}"
        );
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// What a tool gives, which it says as text as well.
    fn answer(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.call(tool, arguments);
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{answer}");
        let text = result["content"][0]["text"].as_str().unwrap();
        let said: Value = serde_json::from_str(text).unwrap();
        assert_eq!(said, result["structuredContent"]);
        said
    }

    /// What a tool says that fails.
    fn refusal(&mut self, tool: &str, arguments: &Value) -> String {
        let answer = self.call(tool, arguments);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str();
        let text = text.unwrap().to_owned();
        assert!(
            text.starts_with("error: ") && text.contains("hint: "),
            "{text}"
        );
        text
    }

    /// Ends the session as clients do: by closing the pipe.
    fn end(self) {
        drop(self.input);
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn the_tools_only_read() {
    let folder = Folder::project();
    let mut client = Client::start(&folder, &[]);
    let tools = client.ask("tools/list", &json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "list_features",
            "describe_feature",
            "describe_graph",
            "status",
            "resolve_counts",
            "read",
            "history"
        ]
    );
    for tool in tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool["description"].as_str().unwrap().len() > 20, "{tool}");
    }
    client.end();
    folder.assert_no_store("reading makes no store");
}

#[test]
fn what_the_tools_answer() {
    let folder = Folder::with_raw();
    folder.ok(&["push", "--tag", "commit=4f1c"]);
    let mut client = Client::start(&folder, &[]);
    let features = client.answer("list_features", &json!({}));
    assert_eq!(features["features"][1]["depends_on"], json!(["video/raw"]));
    let raw = client.answer("describe_feature", &json!({"feature": "video/raw"}));
    assert_eq!(
        (&raw["stored"]["samples"], &raw["downstream"]),
        (&json!(2), &json!([TRANSCRIPT]))
    );
    assert_eq!(client.answer("describe_graph", &json!({}))["depth"], 2);

    let status = client.answer("status", &json!({"progress": true}));
    assert_eq!(
        (
            &status["features"][1]["new"],
            &status["features"][1]["progress"]
        ),
        (&json!(2), &json!(0.0))
    );
    let counts = client.answer(
        "resolve_counts",
        &json!({"feature": TRANSCRIPT, "filters": ["seconds > 10"]}),
    );
    assert_eq!((&counts["new"], &counts["stale"]), (&json!(1), &json!(0)));

    let read = client.answer(
        "read",
        &json!({"feature": "video/raw", "columns": ["video_id"], "filters": ["seconds < 10"]}),
    );
    assert_eq!(
        (&read["rows"], &read["more"]),
        (&json!([{"video_id": "007"}]), &json!(false))
    );
    let read = client.answer("read", &json!({"feature": "video/raw", "limit": 1}));
    assert_eq!(
        (read["rows"].as_array().unwrap().len(), &read["more"]),
        (1, &json!(true))
    );

    let history = client.answer("history", &json!({}));
    assert_shape("metaxy history", 0, &history);
    let pushed = &history["pushes"][0];
    assert_eq!(
        (&pushed["project"], &pushed["features"]),
        (&json!("films"), &json!(2))
    );
    assert_eq!(pushed["tags"]["commit"], "4f1c");
    assert_eq!(
        client.answer("history", &json!({"project": "none"}))["pushes"],
        json!([])
    );

    // What is written meanwhile is seen.
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    let status = client.answer("status", &json!({"features": [TRANSCRIPT]}));
    assert_eq!(
        (
            &status["features"][0]["samples"],
            &status["features"][0]["stale"]
        ),
        (&json!(2), &json!(1))
    );
    client.end();
}

#[test]
fn what_the_tools_refuse() {
    let folder = Folder::with_raw();
    let mut client = Client::start(&folder, &[]);
    let said = client.refusal("read", &json!({"feature": "video/rew"}));
    assert!(said.contains("did you mean `video/raw`?"), "{said}");
    let said = client.refusal("read", &json!({}));
    assert!(
        said.contains("read needs the argument \"feature\""),
        "{said}"
    );
    let said = client.refusal("read", &json!({"feature": "video/raw", "limit": "all"}));
    assert!(said.contains("\"limit\" must be of type integer"), "{said}");
    let said = client.refusal(
        "read",
        &json!({"feature": "video/raw", "filters": ["second > 1"]}),
    );
    assert!(said.contains("did you mean \"seconds\"?"), "{said}");
    let said = client.refusal("status", &json!({"feature": "video/raw"}));
    assert!(said.contains("it takes features, filters"), "{said}");
    let said = client.refusal("resolve_counts", &json!({"feature": "video/raw"}));
    assert!(said.contains("has no upstream"), "{said}");
    let unknown = client.call("delete", &json!({"feature": "video/raw"}));
    assert!(
        unknown["error"]["message"]
            .as_str()
            .unwrap()
            .contains("\"delete\""),
        "{unknown}"
    );
    // After all of that it goes on.
    let read = client.answer("read", &json!({"feature": "video/raw"}));
    assert_eq!(read["rows"].as_array().unwrap().len(), 2);
    client.end();
}

#[test]
fn nobody_speaks() {
    let folder = Folder::with_raw();
    let error = folder.fails(&["mcp"], 1);
    assert!(
        error.contains("no client began a session") && error.contains("hint:"),
        "{error}"
    );
    let empty = Folder::empty();
    empty.write("metaxy.toml", "projet = \"x\"\n");
    let error = empty.fails(&["mcp"], 1);
    assert!(error.contains("did you mean `project`?"), "{error}");
}

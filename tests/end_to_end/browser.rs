//! A browser that a story looks through: headless Chromium, told what to do in its own protocol over a pipe.
//!
//! Messages are JSON texts that end with a zero byte; the browser reads them from file 3 and writes to file 4, which a
//! shell makes of its standard input and output. Neighbour: `page.rs` says what is to be seen.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use wasmill_tests::house::aloud;
use wasmill_tests::process::Folder;

/// What is always told to the browser.
pub(crate) const FLAGS: [&str; 4] = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];

/// Whether there is a browser; where nothing may be skipped, there must be.
pub(crate) fn is_here() -> bool {
    let here = Command::new("chromium").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(here || env::var("CI").as_deref() != Ok("true"), "there is no `chromium` on the path");
    if !here {
        aloud("skipped: there is no `chromium` on the path");
    }
    here
}

/// A browser with one page, ended when it is dropped.
pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Number of the last message, and the page that messages are about.
    last: u64,
    page: Option<String>,
    /// Kept until the browser is gone.
    _profile: Folder,
}

/// How a page is looked at.
pub(crate) struct Look {
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
    /// Whether it is a phone.
    pub(crate) phone: bool,
    /// What the user wants: `light` or `dark`.
    pub(crate) scheme: &'static str,
}

impl Browser {
    /// Starts one with an empty page.
    pub(crate) fn start() -> Self {
        let profile = Folder::new();
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh", "--remote-debugging-pipe"]);
        shell.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display()));
        let mut process = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Self { process, to, from, last: 0, page: None, _profile: profile };
        let page = browser.tell("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.tell("Target.attachToTarget", &json!({"targetId": page["targetId"], "flatten": true}));
        browser.page = attached["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// Opens an address, and looks at it so.
    pub(crate) fn open(&mut self, address: &str, look: &Look) {
        let ((width, height), mobile) = (look.size, look.phone);
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.tell("Emulation.setDeviceMetricsOverride", &screen);
        let wants = json!({"features": [{"name": "prefers-color-scheme", "value": look.scheme}]});
        self.tell("Emulation.setEmulatedMedia", &wants);
        // Another place on the same page would not load it anew.
        self.tell("Page.navigate", &json!({"url": "about:blank"}));
        self.tell("Page.navigate", &json!({"url": address}));
    }

    /// What an expression comes to in the page; null where the page is not there yet.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        let told = self.tell("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        if told["exceptionDetails"].is_null() { told["result"]["value"].clone() } else { Value::Null }
    }

    fn tell(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(page) = &self.page {
            message["sessionId"] = page.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut told = Vec::new();
            self.from.read_until(0, &mut told).unwrap();
            assert_eq!(told.pop(), Some(0), "the browser has ended");
            let told: Value = serde_json::from_slice(&told).unwrap();
            // Others tell what happens unasked.
            if told["id"] == self.last {
                assert!(told["error"].is_null(), "{method}: {told}");
                return told["result"].clone();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

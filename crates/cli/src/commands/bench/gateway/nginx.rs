//! nginx, as a plain proxy and with a checker that it asks about every request.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

const PLACES: [&str; 4] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx", "/opt/homebrew/bin/nginx"];

/// Where nginx is installed.
pub(super) fn find() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|place| place.is_file())
}

/// Runs it by `config` as one process, which is its one worker too.
pub(super) fn command(program: &Path, config: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).arg("-c").arg(config).arg("-e").arg("stderr");
    command
}

/// A configuration that does as little as our gateway is compared for: no logs, kept connections to both sides.
pub(super) fn config(listen: SocketAddr, upstream: SocketAddr, checker: Option<SocketAddr>) -> String {
    let (asking, checking) = checker.map_or_else(Default::default, |checker| {
        let upstream = format!("upstream checker {{ server {checker}; keepalive 64; keepalive_requests 100000000; }}");
        (upstream, LOCATION.to_owned())
    });
    let ask = if checker.is_some() { "auth_request /check;" } else { "" };
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    keepalive_requests 100000000;
    large_client_header_buffers 4 32k;
    upstream api {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
    {asking}
    server {{
        listen {listen};
        location / {{
            {ask}
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header Authorization \"\";
            proxy_set_header DPoP \"\";
            proxy_pass http://api;
        }}
        {checking}
    }}
}}
"
    )
}

const LOCATION: &str = "location = /check {
            internal;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Content-Length \"\";
            proxy_set_header Connection \"\";
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URI $request_uri;
            proxy_pass http://checker;
        }";

"use strict";

// The documentation page: Swagger UI in place of the static page. A token stays in this tab.

const TOKEN = "netvision-token";
const SCHEME = "bearer";

const element = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");

function followColorScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

function say(text) {
  element("message").textContent = text;
  element("message").hidden = text === "";
}

/** Keep the token that the dialog "Authorize" is given, and forget it on "Logout". */
const KeepToken = {
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (authorize) => (schemes) => {
          sessionStorage.setItem(TOKEN, schemes[SCHEME].value);
          return authorize(schemes);
        },
        logout: (logout) => (schemes) => {
          sessionStorage.removeItem(TOKEN);
          return logout(schemes);
        },
      },
    },
  },
};

function show(spec, token) {
  const ui = SwaggerUIBundle({
    spec,
    domNode: element("interactive"),
    plugins: [KeepToken],
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    onComplete: () => {
      element("static").hidden = true;
      if (token) ui.preauthorizeApiKey(SCHEME, token);
    },
  });
}

async function start() {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch("schema/openapi.json", { headers });
  element("access").hidden = response.status !== 401;
  if (response.ok) {
    say("");
    show(await response.json(), token);
  } else {
    const problem = await response.json();
    say(response.status === 401 && !token ? "" : problem.detail);
  }
}

function startOrExplain() {
  start().catch((error) => say(`The documentation could not be loaded: ${error.message}`));
}

element("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, element("token").value.trim());
  startOrExplain();
});

dark.addEventListener("change", followColorScheme);
followColorScheme();
startOrExplain();

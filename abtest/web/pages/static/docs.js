// The API reference, drawn by Swagger UI from the specification that lies beside it.
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);
// The introduction says once what HEAD does; only the one that differs from its GET is listed.
const isListed = (operation) =>
  operation.get("method") !== "head" || operation.getIn(["operation", "operationId"]) === "headExperiments";
const WithoutHead = () => ({
  statePlugins: {
    spec: {
      wrapSelectors: {
        taggedOperations: (selector) => (state, ...others) =>
          selector(state, ...others).map((tag) => tag.update("operations", (all) => all.filter(isListed))),
      },
    },
  },
});
window.ui = SwaggerUIBundle({
  plugins: [WithoutHead],
  url: `${document.documentElement.dataset.root}/openapi.yaml`,
  domNode: document.getElementById("reference"),
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});

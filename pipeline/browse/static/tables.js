// Folds the SQL on Datasette's pages; without this script it is shown.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("pre.wrapped-sql").forEach((sql) => {
    const folded = document.createElement("details");
    folded.className = "mw-json";
    folded.append(Object.assign(document.createElement("summary"), { textContent: "SQL" }));
    sql.replaceWith(folded);
    folded.append(sql);
  });
  const search = document.querySelector("input#_search");
  if (search) search.placeholder = "whole words of id, owner, name";
});

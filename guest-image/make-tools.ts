/** Makes out/guest-tools; run from the top folder, by make. */
import "./failure.ts";
import { makeTools } from "./tools.ts";

makeTools();

/** What the entry points import first: an error ends the program with its sentence, and without a stack. */
process.on("uncaughtException", (error) => {
  console.error(`guest-image: ${error.message}`);
  process.exit(1);
});

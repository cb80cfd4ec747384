/** The migrated database of a test run that each test file clones. */
export const templateDatabase = 'quarterdeck_template';

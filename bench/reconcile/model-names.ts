/** Who answers what no rule knows. */
export const modelNames = ['expert', 'wrong-fix', 'garbage', 'flap', 'tiny'] as const;
export type ModelName = (typeof modelNames)[number];

/** Whether rules alone can mend a fault: yes, partly, no. */
export type RuleLetter = 'Y' | 'P' | 'N';

/** The column "Rule?" of the forty faults (`field/reconciler.md` §2), and the only place that has it. */
const letters: Readonly<Record<RuleLetter, string>> = {
  Y: 'K01 K02 K08 K11 K16 G01 G02 G04 G06 G09 G12 A01 A02 A03 A05 A07 A08 A09 A10 A11',
  P: 'K04 K05 K06 K12 K14 K15 G05 G07 G08 G11 A06',
  N: 'K03 K07 K09 K10 K13 G03 G10 A04 A12',
};

export const taxonomy: ReadonlyMap<string, RuleLetter> = new Map(
  (['Y', 'P', 'N'] as const).flatMap((letter) => letters[letter].split(' ').map((id) => [id, letter] as const)),
);

/** @throws where there is no such fault */
export const letterOf = (id: string): RuleLetter => {
  const letter = taxonomy.get(id);
  if (!letter) throw new Error(`${id} is no fault of the taxonomy`);
  return letter;
};

/** Who may be the one that mends, or is asked. */
export type Layer = 'rule' | 'model' | 'person' | 'none';

const layersOfLetter: Readonly<Record<RuleLetter, readonly Layer[]>> = {
  Y: ['rule'],
  P: ['rule', 'model', 'person'],
  N: ['model', 'person'],
};
/** Where the right fix itself says otherwise: nothing is to be done (K16, G12), or a rule takes the first step and people decide (G03, A12). */
const layersByRightFix: Readonly<Record<string, readonly Layer[]>> = {
  K16: ['none'],
  G12: ['none', 'person'],
  G03: ['rule'],
  A12: ['rule'],
};
export const rightLayers = (id: string): readonly Layer[] => layersByRightFix[id] ?? layersOfLetter[letterOf(id)];

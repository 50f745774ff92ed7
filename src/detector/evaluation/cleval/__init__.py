"""CLEval, detection only: how many characters were found, and how whole the words were left.

Baek et al. 2020, "CLEval: Character-Level Evaluation for Text Detection and Recognition Tasks"
(arXiv 2006.06244), with the rules of the authors' release 0.1.1 where the paper leaves a choice:
on quads the counts here are that release's counts. Recognition is not scored.

The rules, for a page of ground truths g and predictions d:

- Areas and inclusion use coordinates truncated toward zero; character centres and aspect ratios
  use them as they are.
- A ground truth of n characters has n centres, evenly along its reading axis. Inclusion in a
  prediction is even-odd, closed at the left and top, open at the right and bottom.
- Area precision AP[g, d] = area(g and d) / area(d). Where cared-for text covers a don't-care, the
  don't-care's area is without it.
- A prediction is dropped if one don't-care has AP >= 0.3, or if those that have a centre in it sum
  to that.
- Matches: one-to-one, one-to-many (a split word) and many-to-one (merged words).
- Found characters count once. Recall and precision lose a granularity penalty for each cut of a
  word and each merge of two. An unmatched prediction is charged characters by its aspect ratio.
- Over a data set the counts are summed, then the formulas applied once.

What the release leaves open or gets wrong, and what is done here:

- Outlines of other than 4 points (curved text; the release's own mode for them does not run). The
  first half of the vertices is the text's top from left to right, the second half its bottom from
  right to left; the middle vertex of an odd number ends both. Centre k of n lies halfway between
  the points at (k + 1/2)/n of each chain's length; the aspect ratio is that of the chains' mean
  length to the mean of the two ends. On 4 points both are the definition for quads.
- A prediction of other than 4 points has no such order: the aspect ratio that it is charged by is
  its minimum-area rectangle's, its width the side nearer to the horizontal.
- `text=None` says that nobody transcribed the box: it has the pseudo length of its aspect ratio,
  as a don't-care has. `text=""` is a transcription of no characters: no centres, as in the release.
- Outlines that are not convex, or cross or touch themselves, enclose what the even-odd rule says.
  The area that AP divides by is the shoelace formula's, as in the release: loops of a
  self-crossing prediction that run opposite ways subtract from it.
- An empty page scores 0 in all three, even if nothing was predicted on it, as in the release. In
  the micro scores it weighs nothing; in `DatasetScore.hmean_pages` it is a page that scored 0.

The steps, a module each: `characters` places the centres, `pairs` finds what overlaps (`overlaps`)
and who finds which character, `matching` decides, `counts` holds the outcome, `evaluate` calls them
in turn.
"""

"""The penalty that keeps the embedding from dimensional collapse."""

from lib.distributed import gather_rows


def decorrelation(z1, z2):
    """Return the covariance penalty of two projections (N, D), each over all ranks.

    Sum of the squared off-diagonal covariances over D (Bardes et al. 2022, eq. 4).
    The projector's last batch norm has already set the variances to one.
    """
    penalty = 0
    for z in (gather_rows(z1), gather_rows(z2)):
        centred = z.float() - z.float().mean(0)
        covariance = centred.T @ centred / (len(z) - 1)
        penalty = (
            penalty + covariance.square().sum() - covariance.diagonal().square().sum()
        )
    return penalty / (2 * z1.shape[1])

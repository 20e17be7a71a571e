"""What a 300 kV electron microscope counts: weak phase object, damage, shot noise."""

import numpy as np
from scipy import fft

WAVELENGTH = 0.0197  # at 300 kV [A]
INTERACTION = 6.53e-4  # at 300 kV [rad / (V A)]
CS = 2.7e7  # spherical aberration [A]
AMPLITUDE_CONTRAST = 0.07
MEAN_FREE_PATH = 3000.0  # of inelastic scattering in ice at 300 kV [A]
JITTER = 0.3  # std of what the tilt alignment leaves, in x and y [px]


def expose(
    potential, angles, *, pixel_size, thickness, dose, defocus, rng, opacity=None
):
    """Return what the detector counts.

    Parameters
    ----------
    potential : ndarray, shape (T, Y, X)
        Projected potential of the specimen above ice [V A].
    angles : ndarray, shape (T,)
        [degrees]
    pixel_size : float
        [A]
    thickness : float
        Of the ice [A].
    dose : float
        Of the whole series [e/A^2].
    defocus : float
        Positive is underfocus [A].
    rng : numpy.random.Generator
    opacity : ndarray, shape (T, Y, X), optional
        Of heavy metal: minus the logarithm of the share of electrons that it passes.

    Returns
    -------
    ndarray of float32, shape (T, Y, X)
        Electrons in each pixel; fewer where the path through the ice is longer.

    Notes
    -----
    Radiation damage: critical dose of Grant & Grigorieff, eLife 2015.
    """
    fy = fft.fftfreq(potential.shape[1], pixel_size)[:, None]
    fx = fft.rfftfreq(potential.shape[2], pixel_size)
    k = np.hypot(fy, fx)  # [1/A]
    spectrum = fft.rfft2(potential) * (2 * INTERACTION * transfer(k, defocus))
    critical = 0.245 * np.maximum(k, 1e-4) ** -1.665 + 2.81  # [e/A^2]
    per_tilt = dose / len(angles)
    before = np.argsort(np.argsort(np.abs(angles), kind="stable"))  # dose-symmetric
    counts = np.empty(potential.shape, np.float32)
    for tilt, angle in enumerate(angles):
        received = (before[tilt] + 0.5) * per_tilt
        damage = np.exp(-0.5 * received / critical)
        shift_y, shift_x = rng.normal(0, JITTER * pixel_size, 2)
        jitter = np.exp(-2j * np.pi * (fy * shift_y + fx * shift_x))
        image = fft.irfft2(spectrum[tilt] * damage * jitter, potential.shape[1:])
        path = thickness / np.cos(np.deg2rad(angle))
        mean = per_tilt * pixel_size**2 * np.exp(-path / MEAN_FREE_PATH)
        if opacity is not None:
            mean = mean * np.exp(-opacity[tilt])
        counts[tilt] = rng.poisson(mean * np.maximum(1 + image, 0))
    return counts


def transfer(k, defocus):
    """Return the contrast transfer of a weak phase object, negative where dark.

    Parameters
    ----------
    k : ndarray
        Spatial frequency [1/A].
    defocus : float
        Positive is underfocus [A].
    """
    defocus_term = np.pi * WAVELENGTH * defocus * k**2
    spherical_term = 0.5 * np.pi * CS * WAVELENGTH**3 * k**4
    return -np.sin(defocus_term - spherical_term + np.arcsin(AMPLITUDE_CONTRAST))
